# SPDX-License-Identifier: Apache-2.0 OR MIT
add_unit_test(fault_access x86_64/fault_access_test.c x86_64/fault_cases.S)
add_unit_test(fpstate x86_64/fpstate_test.c)
add_unit_test(patch_site
  x86_64/patch_site_test.c
  x86_64/patch_site_patterns.c
  x86_64/patch_site_neighbours.c
  x86_64/patch_site_decoys.c
  x86_64/patch_site_requests.c
  x86_64/patch_site_proofs.c
  x86_64/patch_site_executed.c
  x86_64/patch_site_programs.c
  x86_64/patch_site_checks.c
  x86_64/patch_site_code.c
  x86_64/patch_site_names.c
  x86_64/patch_site_run.c)
set_tests_properties(unit.patch_site PROPERTIES COST 30)
if(TEST valgrind.patch_site)
  set_tests_properties(valgrind.patch_site PROPERTIES COST 60)
endif()
target_include_directories(unit_patch_site SYSTEM PRIVATE "${ZYDIS_INCLUDE_DIR}")
# It reads whole programs of the machine: one second of a processor, of which a busy machine gives little.
set_tests_properties(unit.patch_site PROPERTIES TIMEOUT 300)
add_unit_test(registers x86_64/registers_test.c)
add_unit_test(stub_jobs x86_64/stub_jobs_test.c)
add_unit_test(vsyscall x86_64/vsyscall_test.c)
