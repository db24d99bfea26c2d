#!/bin/sh
# Inside the root that packages are built in, which has the libraries that they are linked to. For each ELF file of each
# package in /packages a line: package, file, machine, and each needed library as LIBRARY=PACKAGE,PACKAGE... by dpkg's word, which
# may begin with the diversions of that name.
set -eu
for package in /packages/*.deb; do
    name=$(dpkg-deb --field "$package" Package)
    case $name in *-dbgsym) continue ;; esac
    echo "depends $name $(dpkg-deb --field "$package" Pre-Depends Depends | tr '\n' ' ')"
    folder=$(mktemp -d)
    dpkg-deb --extract "$package" "$folder"
    find "$folder" -type f | while read -r file; do
        [ "$(head -c 4 "$file" | od -An -c | tr -d ' ')" = '177ELF' ] || continue
        line="elf $name ${file#"$folder"} $(od -An -t u2 -j 18 -N 2 "$file" | tr -d ' ')"
        for library in $(readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
            owners=$(dpkg-query --search "*/$library" 2>/dev/null | sed '/^diversion by /d; s/: .*//; s/:[^,]*//g; s/, /,/g' | sort -u | paste -sd, -)
            line="$line $library=$owners"
        done
        echo "$line"
    done
    rm -r "$folder"
done
