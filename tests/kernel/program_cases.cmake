# SPDX-License-Identifier: Apache-2.0 OR MIT
# Programs of the distribution, linked to the C library at run time.
kernel_case(ls /bin/ls -l)
kernel_case(ls_etc /bin/ls -la /etc)
kernel_case(ls_recursive /bin/ls -lR tree)
kernel_case(cat /bin/cat numbers)
kernel_case(sort /usr/bin/sort -k2 -k1n numbers)
kernel_case(sort_parallel /usr/bin/sort --parallel=4 -S 64K -n numbers)
kernel_case(sha256sum /usr/bin/sha256sum numbers)
kernel_case(find /usr/bin/find . -newer numbers -o -type l)
kernel_case(grep /bin/grep -rn "line 19[0-9]9" .)
kernel_case(awk /usr/bin/awk [[{ count[$1 % 10]++ } END { for (i = 0; i < 10; i++) print i, count[i] }]] numbers)
kernel_case(tar /bin/tar --sort=name -cf archive.tar tree)
kernel_case(env /usr/bin/env)
kernel_case(timeout /usr/bin/timeout 0.2 sleep 20)
kernel_case(git /usr/bin/git init -q made)
kernel_case(date /bin/date -d @86400 -u)
# Waits for its jobs in a call that the end of one of them interrupts.
kernel_case(make_jobs /usr/bin/make -s -j2 --eval [[all: a b c d]] --eval [[a b c d: ; @sleep 0.05; touch $@]])
kernel_case(dash /bin/dash -c [[for i in 1 2 3; do echo $i; done | sort -r; ls | wc -l]])
kernel_case(bash /bin/bash -c [[echo {a..e}; v=(1 2 3); echo ${v[1]} ${#v[@]}; cat <(echo inner)]])
kernel_case(perl /usr/bin/perl -e [[my %h; while (<STDIN>) { my @f = split; $h{$f[0] % 7}++ } print map { "$_ $h{$_}\n" } sort keys %h;]])

function(python_case name script)
  kernel_case(python.${name} /usr/bin/python3 -c "${script}")
endfunction()

python_case(loop [[
total = 0
for i in range(200000):
    total = (total * 31 + i) % 1000003
print(total)]])
python_case(files [[
import os, json
with open('numbers') as f:
    rows = [line.split() for line in f]
os.mkdir('made')
for i in range(20):
    with open(f'made/{i}.json', 'w') as f:
        json.dump(rows[i], f)
os.rename('made/3.json', 'made/three.json')
os.unlink('made/4.json')
print(sorted(os.listdir('made')), os.stat('made/5.json').st_size)]])
python_case(threads [[
import threading
results = {}
def work(n):
    results[n] = sum(range(n * 1000))
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sorted(results.items()))]])
python_case(subprocess [[
import subprocess
print(subprocess.run(['sort', '-rn', 'numbers'], capture_output=True).stdout[:100])
print(subprocess.run('exit 5', shell=True).returncode)]])
python_case(exception [[
raise ValueError('seen by the caller')]])
