# SPDX-License-Identifier: Apache-2.0 OR MIT
add_unit_test(fault_access x86_64/fault_access_test.c x86_64/fault_cases.S)
add_unit_test(fpstate x86_64/fpstate_test.c)
add_unit_test(registers x86_64/registers_test.c)
add_unit_test(stub_jobs x86_64/stub_jobs_test.c)
add_unit_test(vsyscall x86_64/vsyscall_test.c)
