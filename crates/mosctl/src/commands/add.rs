//! `mosctl add` and `remove`.

use mos_camera_api::v1;
use mos_camera_core::StreamName;
use toml::{Table, Value};

use super::answer;
use crate::cli::{Add, Global};
use crate::exit::Result;
use crate::output::Out;
use crate::view::{Added, Removed};

pub(super) async fn add(global: &Global, args: Add, out: &Out) -> Result<()> {
    let camera = args.camera.to_string();
    let request = v1::AddCameraRequest {
        name: camera.clone(),
        table: table(args).to_string(),
    };
    let added = answer(global.sources().await?.add_camera(request)).await?;
    let added = Added {
        camera,
        device: added.device,
        unchanged: added.unchanged,
    };
    out.result(&added, |added| {
        let already = if added.unchanged { "was already " } else { "" };
        format!("{} {already}added as {}\n", added.camera, added.device)
    })
}

pub(super) async fn remove(global: &Global, camera: &StreamName, out: &Out) -> Result<()> {
    let request = v1::RemoveCameraRequest {
        name: camera.to_string(),
    };
    answer(global.sources().await?.remove_camera(request)).await?;
    let removed = Removed {
        camera: camera.to_string(),
        removed: true,
    };
    out.result(&removed, |removed| format!("{} removed\n", removed.camera))
}

/// The table `[cameras.NAME]` of the configuration file that says the same.
fn table(args: Add) -> Table {
    let (transport, address_key, address, secret_key) = match (args.rtsp, args.onvif, args.whep) {
        (Some(url), ..) => ("rtsp", "url", url, "password_secret"),
        (_, Some(address), _) => ("onvif", "address", address, "password_secret"),
        (.., whep) => ("whep", "url", whep.unwrap_or_default(), "token_secret"),
    };
    let mut keys = Table::new();
    keys.insert(address_key.to_owned(), Value::String(address));
    keys.extend(
        args.user
            .map(|user| ("user".to_owned(), Value::String(user))),
    );
    keys.extend(
        args.secret
            .map(|name| (secret_key.to_owned(), Value::String(name))),
    );
    keys.extend(args.settings);
    let mut table = Table::new();
    if args.no_start {
        table.insert("start".to_owned(), Value::Boolean(false));
    }
    table.insert(transport.to_owned(), Value::Table(keys));
    table
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn table_of(line: &str) -> Table {
        match Cli::parse_from(line.split(' ')).command {
            Command::Add(args) => table(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_becomes_the_camera_s_table() {
        for (line, expected) in [
            (
                "mosctl add door --rtsp rtsp://cam/1",
                "rtsp = { url = 'rtsp://cam/1' }",
            ),
            (
                "mosctl add door --rtsp rtsp://cam/1 --user u --secret door --set latency_ms=0 --set transport=udp --no-start",
                "start = false\nrtsp = { url = 'rtsp://cam/1', user = 'u', password_secret = 'door', latency_ms = 0, transport = 'udp' }",
            ),
            (
                "mosctl add yard --onvif 192.0.2.12 --user u --secret yard",
                "onvif = { address = '192.0.2.12', user = 'u', password_secret = 'yard' }",
            ),
            (
                "mosctl add lobby --whep https://h/w --secret t --set tls_insecure=true",
                "whep = { url = 'https://h/w', token_secret = 't', tls_insecure = true }",
            ),
        ] {
            let expected: Table = expected.parse().unwrap();
            assert_eq!(table_of(line), expected, "{line}");
            // What is sent is read back as what was meant, whatever the values hold.
            assert_eq!(
                table_of(line).to_string().parse::<Table>().unwrap(),
                expected
            );
        }
        let tricky = table_of("mosctl add door --rtsp rtsp://cam/1\"]\n[x]");
        assert_eq!(tricky.to_string().parse::<Table>().unwrap(), tricky);
    }

    #[test]
    fn a_camera_has_exactly_one_transport() {
        for line in [
            "mosctl add door",
            "mosctl add door --rtsp rtsp://a --whep https://b",
            "mosctl add door --whep https://b --user u",
            "mosctl add door --rtsp rtsp://a --set novalue",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
