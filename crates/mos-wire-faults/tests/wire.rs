//! `mos-wire` and what it refuses. That it passes packets on, late and lossy, is shown by `cargo xtask conformance`, as it
//! takes network namespaces.

mod common;

use common::Program;

#[test]
fn what_can_not_be_done_is_said_and_nothing_ends() {
    let mut wire = Program::start(env!("CARGO_BIN_EXE_mos-wire"), &[]);
    for (command, part) in [
        ("join a no-such-a no-such-b", "can't join"),
        ("shape a 1 loss=5", "no wire `a`"),
        ("shape", "no command"),
        ("cut a", "no command"),
    ] {
        let answer = wire.tell(command);
        assert!(
            answer.starts_with("error: ") && answer.contains(part),
            "{command}: {answer}"
        );
    }
    assert!(wire.finish());
}
