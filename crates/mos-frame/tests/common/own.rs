//! What this process holds, to show that nothing leaks.

/// Open descriptors.
pub fn fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Mappings of the bus's shared memory.
pub fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines()
        .filter(|line| line.contains("memfd:mos-frame"))
        .count()
}

/// Resident memory in bytes that is the process's own: without shared memory, which is counted where it is mapped.
pub fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let field = |n: usize| {
        let text = statm.split(' ').nth(n).unwrap();
        text.trim().parse::<usize>().unwrap()
    };
    (field(1) - field(2)) * rustix::param::page_size()
}
