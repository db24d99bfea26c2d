//! The process counters see what this process opens. Alone in its file: a neighbour's descriptors would count, too.

#[test]
fn an_open_file_counts() {
    let before = mos_testkit::process::open_fds().unwrap();
    let file = std::fs::File::open("/proc/self/stat").unwrap();
    assert_eq!(mos_testkit::process::open_fds().unwrap(), before + 1);
    drop(file);
    assert!(mos_testkit::process::threads().unwrap() >= 1);
}
