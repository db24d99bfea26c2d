//! Sessions, case by case: what the server answers, and what becomes of it.

use mos_camera_core::IceAddress;
use reqwest::header::HeaderMap;

use super::*;
use crate::whep::signalling::sdp::tests::{ANSWER, OFFER, OURS};

const URL: &str = "https://media.example/whep/door?key=s3cret";
const TOKEN: &str = "s3cret";
const TURN: &str = r#"<turn:turn.example>; rel="ice-server"; username="u"; credential="p""#;

/// A session under test, with its clock.
struct Bench {
    machine: Machine,
    begin: Instant,
    now: Instant,
}

fn endpoint() -> Endpoint {
    Endpoint {
        device: "whep:door".to_owned(),
        url: URL.parse().unwrap(),
        authorization: Some(Secret::new(format!("Bearer {TOKEN}"))),
        token: Some(Secret::new(TOKEN)),
        ice_servers: Vec::new(),
        link_servers: true,
        timeout: Duration::from_secs(10),
        codecs: vec!["H264", "VP8"],
        certificate: OURS,
    }
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    Answer {
        status,
        headers: map,
        body: body.as_bytes().to_vec(),
        url: URL.parse().unwrap(),
        withheld: false,
    }
}

fn created(headers: &[(&'static str, &str)]) -> Answer {
    let location = [("location", "/session/1")];
    let all: Vec<_> = location
        .into_iter()
        .chain(headers.iter().copied())
        .collect();
    answer(201, &all, ANSWER)
}

/// What is done, in words.
fn words(outputs: &[Output]) -> Vec<String> {
    let word = |output: &Output| match output {
        Output::Send(request) => {
            let token = if request.authorization.is_some() {
                " with token"
            } else {
                ""
            };
            let path = format!("{}{}", request.url.host_str().unwrap(), request.url.path());
            let tag = request.headers.get(header::IF_MATCH);
            let tag = tag.map_or(String::new(), |tag| {
                format!(" if {}", tag.to_str().unwrap())
            });
            format!("{} {path}{token}{tag}", request.method)
        }
        Output::Gather(servers) => {
            let names: Vec<_> = servers.iter().map(|s| s.address.to_string()).collect();
            format!("gather {}", names.join(" "))
        }
        Output::Ask(servers) => format!("ask {}", servers.len()),
        Output::Apply(answer) => format!("apply {}", answer.codecs.join(" ")),
        Output::Fail(fault) => format!("fail {:?}", fault.kind),
        Output::Over => "over".to_owned(),
    };
    outputs.iter().map(word).collect()
}

impl Bench {
    fn new(endpoint: Endpoint, memory: Memory) -> Self {
        let now = Instant::now();
        Self {
            machine: Machine::new(endpoint, memory),
            begin: now,
            now,
        }
    }

    fn put(&mut self, input: Input) -> Vec<Output> {
        self.machine.handle(input, self.now)
    }

    fn tell(&mut self, input: Input) -> Vec<String> {
        words(&self.put(input))
    }

    fn answer(&mut self, answer: Answer) -> Vec<String> {
        self.tell(Input::Answer(Ok(answer)))
    }

    /// Lets time go on to the deadline.
    fn wait(&mut self) -> Vec<String> {
        self.now = self.machine.deadline().expect("a deadline");
        self.tell(Input::Time)
    }

    fn waited(&self) -> Duration {
        self.now - self.begin
    }

    /// A session whose offer is out, with one candidate and no others to come.
    fn offering() -> Self {
        let mut bench = Self::new(endpoint(), Memory::default());
        bench.until_offered();
        bench
    }

    fn until_offered(&mut self) {
        self.put(Input::Start);
        self.put(Input::Offer(OFFER.to_owned()));
        self.put(Input::Answer(Ok(answer(204, &[], ""))));
        self.put(Input::Candidate(
            "candidate:1 1 UDP 1 10.0.0.2 5 typ host".to_owned(),
        ));
        let sent = self.tell(Input::Gathered);
        assert_eq!(sent, ["POST media.example/whep/door with token"]);
    }

    /// A session whose answer came before all candidates were found.
    fn trickling(headers: &[(&'static str, &str)]) -> Self {
        let mut bench = Self::new(endpoint(), Memory::default());
        bench.put(Input::Start);
        bench.put(Input::Offer(OFFER.to_owned()));
        bench.answer(answer(204, &[], ""));
        assert_eq!(bench.wait(), ["POST media.example/whep/door with token"]);
        assert_eq!(bench.answer(created(headers)), ["apply H264"]);
        bench
    }
}

fn body(outputs: &[Output]) -> String {
    match outputs {
        [Output::Send(request)] => String::from_utf8(request.body.clone()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_from_its_start_to_its_end() {
    let mut bench = Bench::new(endpoint(), Memory::default());
    assert_eq!(
        bench.tell(Input::Start),
        ["OPTIONS media.example/whep/door with token"]
    );
    assert_eq!(bench.tell(Input::Offer(OFFER.to_owned())), [""; 0]);
    assert_eq!(bench.answer(answer(204, &[], "")), ["gather "]);
    bench.put(Input::Candidate(
        "candidate:1 1 UDP 1 10.0.0.2 5 typ host".to_owned(),
    ));
    let post = body(&bench.put(Input::Gathered));
    assert!(
        post.ends_with("typ host\r\na=end-of-candidates\r\n"),
        "{post}"
    );
    assert_eq!(bench.answer(created(&[])), ["apply H264"]);
    assert_eq!(bench.tell(Input::Link(Link::Up)), [""; 0]);
    assert_eq!(bench.machine.deadline(), None);
    assert_eq!(
        bench.tell(Input::Stop),
        ["DELETE media.example/session/1 with token"]
    );
    assert_eq!(bench.answer(answer(200, &[], "")), ["over"]);
    assert_eq!(bench.tell(Input::Stop), [""; 0]);
}

#[test]
fn candidates_of_this_machine_are_waited_for_only_shortly_unless_the_server_takes_no_others() {
    for (no_trickle, longest) in [(false, HOLD), (true, endpoint().timeout)] {
        let memory = Memory {
            no_trickle,
            ..Memory::default()
        };
        let mut bench = Bench::new(endpoint(), memory);
        bench.put(Input::Start);
        bench.put(Input::Offer(OFFER.to_owned()));
        bench.answer(answer(204, &[], ""));
        assert_eq!(bench.wait(), ["POST media.example/whep/door with token"]);
        assert_eq!(bench.waited(), longest);
    }
}

#[test]
fn servers_are_those_of_the_configuration_and_then_those_that_the_server_names() {
    let stun: IceAddress = "stun:mine".parse().unwrap();
    let mine = vec![IceServer {
        address: stun,
        login: None,
    }];
    let configured = Endpoint {
        ice_servers: mine,
        ..endpoint()
    };
    let turn = "gather stun:mine:3478 turn:turn.example:3478?transport=udp";
    for (status, link, expected) in [
        (204, Some(TURN), turn),
        (405, Some(TURN), turn),
        (401, None, "gather stun:mine:3478"),
        (200, Some("</x>; rel=next"), "gather stun:mine:3478"),
    ] {
        let mut bench = Bench::new(configured.clone(), Memory::default());
        bench.put(Input::Start);
        bench.put(Input::Offer(OFFER.to_owned()));
        let headers: Vec<_> = link.into_iter().map(|link| ("link", link)).collect();
        assert_eq!(
            bench.answer(answer(status, &headers, "")),
            [expected],
            "{status}"
        );
    }
    // Where the operator does not want them, nobody is asked for them.
    let endpoint = Endpoint {
        link_servers: false,
        ..configured
    };
    let mut bench = Bench::new(endpoint, Memory::default());
    assert_eq!(bench.tell(Input::Start), [""; 0]);
    assert_eq!(
        bench.tell(Input::Offer(OFFER.to_owned())),
        ["gather stun:mine:3478"]
    );
}

#[test]
fn servers_that_are_named_too_late_are_for_the_next_session() {
    let mut bench = Bench::offering();
    bench.answer(created(&[("link", TURN)]));
    assert_eq!(
        bench.wait(),
        [
            "fail Unreachable",
            "DELETE media.example/session/1 with token"
        ]
    );
    let memory = bench.machine.memory().clone();
    assert_eq!(memory.servers.len(), 1);
    let mut next = Bench::new(endpoint(), memory);
    next.put(Input::Start);
    next.put(Input::Offer(OFFER.to_owned()));
    assert_eq!(
        next.answer(answer(405, &[], "")),
        ["gather turn:turn.example:3478?transport=udp"]
    );
}

#[test]
fn locations_may_be_relative_or_absolute_and_other_origins_get_no_token() {
    for (location, expected) in [
        (
            Some("/session/1"),
            "DELETE media.example/session/1 with token",
        ),
        (Some("1"), "DELETE media.example/whep/1 with token"),
        (
            Some("https://media.example/x"),
            "DELETE media.example/x with token",
        ),
        (Some("https://edge.example/x"), "DELETE edge.example/x"),
        (
            Some("https://media.example:444/x"),
            "DELETE media.example/x",
        ),
        // It can't be told of the end.
        (Some("http://media.example/x"), "over"),
        (Some("ftp://media.example/x"), "over"),
        (None, "over"),
    ] {
        let mut bench = Bench::offering();
        let headers: Vec<_> = location.into_iter().map(|l| ("location", l)).collect();
        assert_eq!(bench.answer(answer(201, &headers, ANSWER)), ["apply H264"]);
        assert_eq!(bench.tell(Input::Stop), [expected], "{location:?}");
    }
}

#[test]
fn refusals_mean_what_they_say() {
    use FaultKind as K;
    for (status, kind) in [
        (301, K::NotFound),
        (400, K::Unsupported),
        (401, K::Unauthorized),
        (403, K::Unauthorized),
        (404, K::NotFound),
        (405, K::NotFound),
        (406, K::Unsupported),
        (409, K::Busy),
        (410, K::NotFound),
        (415, K::Unsupported),
        (418, K::NotFound),
        (429, K::Busy),
        (500, K::Unreachable),
        (501, K::NotFound),
        (503, K::Busy),
    ] {
        let mut bench = Bench::offering();
        let refusal = answer(status, &[("content-type", "text/plain")], "because");
        let outputs = bench.put(Input::Answer(Ok(refusal)));
        let [Output::Fail(fault), Output::Over] = &outputs[..] else {
            panic!("{status}: {outputs:?}");
        };
        assert_eq!(fault.kind, kind, "{status}: {fault}");
        let begins = "whep:door at https://media.example/whep/door: ";
        assert!(
            fault.message.starts_with(begins) && fault.message.contains("because"),
            "{fault}"
        );
        assert!(
            !fault.hint.is_empty() && !fault.to_string().contains(TOKEN),
            "{fault}"
        );
    }
}

#[test]
fn no_text_of_the_server_brings_a_secret_or_rubbish_into_a_fault() {
    for (kind, body) in [
        ("text/plain", format!("the token {TOKEN} is wrong")),
        ("text/html", "<html>because</html>".to_owned()),
        ("text/plain", "because\u{7}".to_owned()),
        ("text/plain", String::new()),
    ] {
        let mut bench = Bench::offering();
        let refusal = answer(401, &[("content-type", kind)], &body);
        let outputs = bench.put(Input::Answer(Ok(refusal)));
        let text = format!("{outputs:?}");
        assert!(!text.contains(TOKEN) && !text.contains("because"), "{text}");
    }
    let mut bench = Bench::offering();
    let refusal = answer(400, &[], &"x".repeat(10_000));
    let outputs = bench.put(Input::Answer(Ok(refusal)));
    assert!(format!("{outputs:?}").len() < 1000);
}

#[test]
fn a_server_that_asks_to_be_left_alone_is_left_alone() {
    let mut bench = Bench::offering();
    let busy = answer(503, &[("retry-after", "7")], "");
    assert_eq!(bench.answer(busy), ["fail Busy", "over"]);
    let memory = bench.machine.memory().clone();
    let mut early = Bench::new(endpoint(), memory.clone());
    early.now = bench.now + Duration::from_secs(6);
    assert_eq!(early.tell(Input::Start), ["fail Busy", "over"]);
    let mut late = Bench::new(endpoint(), memory);
    late.now = bench.now + Duration::from_secs(7);
    assert_eq!(
        late.tell(Input::Start),
        ["OPTIONS media.example/whep/door with token"]
    );
}

#[test]
fn an_answer_that_can_t_be_used_is_a_fault_and_the_server_is_told() {
    for (text, kind) in [
        ("<html>", FaultKind::NotFound),
        ("", FaultKind::NotFound),
        (&ANSWER.replace("H264", "AV1"), FaultKind::Unsupported),
        (
            &ANSWER.replace("m=video 40000", "m=video 0"),
            FaultKind::Unsupported,
        ),
    ] {
        let mut bench = Bench::offering();
        let odd = answer(201, &[("location", "/session/1")], text);
        let expected = [
            format!("fail {kind:?}"),
            "DELETE media.example/session/1 with token".to_owned(),
        ];
        assert_eq!(bench.answer(odd), expected, "{text:.40}");
    }
}

#[test]
fn late_candidates_are_trickled_with_the_session_s_tag() {
    let mut bench = Bench::trickling(&[("etag", "\"a\"")]);
    let outputs = bench.put(Input::Candidate(
        "candidate:1 1 UDP 1 192.0.2.1 9 typ srflx".to_owned(),
    ));
    assert_eq!(
        words(&outputs),
        ["PATCH media.example/session/1 with token if \"a\""]
    );
    let sent = body(&outputs);
    assert!(
        sent.contains("typ srflx") && !sent.contains("end-of-candidates"),
        "{sent}"
    );
    // One at a time; what comes meanwhile goes with the next.
    assert_eq!(bench.tell(Input::Gathered), [""; 0]);
    let next = answer(204, &[("etag", "\"b\"")], "");
    let outputs = bench.put(Input::Answer(Ok(next)));
    assert_eq!(
        words(&outputs),
        ["PATCH media.example/session/1 with token if \"b\""]
    );
    let sent = body(&outputs);
    assert!(
        !sent.contains("typ srflx") && sent.contains("end-of-candidates"),
        "{sent}"
    );
    assert_eq!(bench.answer(answer(204, &[], "")), [""; 0]);
}

#[test]
fn what_a_server_makes_of_patch() {
    let patch = "PATCH media.example/session/1 with token";
    let delete = "DELETE media.example/session/1 with token";
    for (status, headers, after, no_trickle) in [
        (200, vec![], vec![], false),
        (204, vec![], vec![], false),
        // It takes none: the session goes on, and the next offer is whole.
        (405, vec![], vec![], true),
        (501, vec![], vec![], true),
        (415, vec![], vec![], true),
        (428, vec![], vec![], true),
        (500, vec![], vec![], false),
        // Another tag: once more, with the new one.
        (
            412,
            vec![("etag", "\"n\"")],
            vec![format!("{patch} if \"n\"")],
            false,
        ),
        (
            404,
            vec![],
            vec!["fail Disconnected".to_owned(), "over".to_owned()],
            false,
        ),
    ] {
        let mut bench = Bench::trickling(&[]);
        assert_eq!(bench.tell(Input::Gathered), [patch]);
        assert_eq!(
            bench.answer(answer(status, &headers, "")),
            after,
            "{status}"
        );
        assert_eq!(bench.machine.memory().no_trickle, no_trickle, "{status}");
        let trickles = match (no_trickle, status) {
            (true, _) => Trickle::Refused,
            (false, 200..=299) => Trickle::Taken,
            (false, _) => Trickle::Untried,
        };
        assert_eq!(bench.machine.trickles(), trickles, "{status}");
        match status {
            404 => {}
            412 => {
                assert_eq!(bench.answer(answer(412, &[], "")), [""; 0], "not for ever");
            }
            _ => assert_eq!(bench.tell(Input::Stop), [delete], "{status}"),
        }
    }
}

#[test]
fn a_connection_that_is_not_made_or_lost_ends_the_session() {
    for (up, link, kind) in [
        (false, Some(Link::NoPath), "fail Unreachable"),
        (false, Some(Link::NoDtls), "fail Internal"),
        (false, None, "fail Unreachable"),
        (true, Some(Link::Lost), "fail Disconnected"),
        (true, Some(Link::NoPath), "fail Unreachable"),
    ] {
        let mut bench = Bench::offering();
        bench.answer(created(&[]));
        if up {
            bench.tell(Input::Link(Link::Up));
        }
        let outputs = match link {
            Some(link) => bench.tell(Input::Link(link)),
            None => bench.wait(),
        };
        assert_eq!(
            outputs,
            [kind, "DELETE media.example/session/1 with token"],
            "{link:?}"
        );
        // One fault is enough.
        assert_eq!(bench.tell(Input::Link(Link::Lost)), [""; 0]);
        assert_eq!(bench.tell(Input::Stop), [""; 0]);
        assert_eq!(bench.answer(answer(404, &[], "")), ["over"]);
    }
}

/// A session whose server names a TURN server, with the answer taken and these candidates of our own.
fn with_relay(memory: Memory, candidates: &[&str]) -> Bench {
    let server = IceServer {
        address: "turn:turn.example".parse().unwrap(),
        login: Some(("u".to_owned(), Secret::new("p"))),
    };
    let endpoint = Endpoint {
        ice_servers: vec![server],
        ..endpoint()
    };
    let mut bench = Bench::new(endpoint, memory);
    bench.put(Input::Start);
    bench.put(Input::Offer(OFFER.to_owned()));
    bench.answer(answer(204, &[], ""));
    for candidate in candidates {
        bench.put(Input::Candidate((*candidate).to_owned()));
    }
    bench.put(Input::Gathered);
    bench.answer(created(&[]));
    bench
}

#[test]
fn where_no_turn_server_gave_a_relay_it_is_asked_why() {
    let delete = "DELETE media.example/session/1 with token";
    let verdict = |verdict| {
        let address = "turn:turn.example".parse().unwrap();
        Input::Relays(vec![(address, verdict)])
    };
    let host = "candidate:1 1 UDP 1 192.0.2.1 9 typ host";
    let relay = "candidate:2 1 UDP 1 192.0.2.2 9 typ relay raddr 192.0.2.1 rport 9";
    let known = Memory {
        connected: true,
        ..Memory::default()
    };
    for (memory, input, kind) in [
        (
            Memory::default(),
            Some(Verdict::Unauthorized),
            "fail Unauthorized",
        ),
        (known, Some(Verdict::Unauthorized), "fail Unreachable"),
        (Memory::default(), Some(Verdict::Relays), "fail Unreachable"),
        (Memory::default(), Some(Verdict::Silent), "fail Unreachable"),
        // Nobody can be asked.
        (Memory::default(), None, "fail Unreachable"),
    ] {
        let mut bench = with_relay(memory, &[host]);
        assert_eq!(bench.tell(Input::Link(Link::NoPath)), ["ask 1"]);
        assert_eq!(bench.tell(Input::Link(Link::NoPath)), [""; 0]);
        let outputs = match input.clone() {
            Some(input) => bench.tell(verdict(input)),
            None => bench.wait(),
        };
        assert_eq!(outputs, [kind, delete], "{input:?}");
        assert_eq!(bench.tell(verdict(Verdict::Silent)), [""; 0]);
    }
    // It relayed, and that was of no use; or it was of use, and is not any more.
    let mut bench = with_relay(Memory::default(), &[host, relay]);
    assert_eq!(bench.wait(), ["fail Unreachable", delete]);
    let mut bench = with_relay(Memory::default(), &[host]);
    assert_eq!(bench.tell(Input::Link(Link::Up)), [""; 0]);
    assert!(bench.machine.memory().connected);
    assert_eq!(
        bench.tell(Input::Link(Link::NoPath)),
        ["fail Unreachable", delete]
    );
    // A stop does not wait for it.
    let mut bench = with_relay(Memory::default(), &[host]);
    assert_eq!(bench.wait(), ["ask 1"]);
    assert_eq!(bench.tell(Input::Stop), [delete]);
}

#[test]
fn a_stop_at_any_time_leaves_no_session_at_the_server() {
    let delete = ["DELETE media.example/session/1 with token"];
    // Before anything: there is nothing to say.
    assert_eq!(
        Bench::new(endpoint(), Memory::default()).tell(Input::Stop),
        ["over"]
    );
    // While the offer is on its way: its answer names the session.
    let mut bench = Bench::offering();
    assert_eq!(bench.tell(Input::Stop), [""; 0]);
    assert_eq!(bench.answer(created(&[])), delete);
    // While candidates are on their way.
    let mut bench = Bench::trickling(&[]);
    bench.tell(Input::Gathered);
    assert_eq!(bench.tell(Input::Stop), [""; 0]);
    assert_eq!(bench.answer(answer(204, &[], "")), delete);
    // A server that does not answer is not waited for.
    let mut bench = Bench::offering();
    bench.tell(Input::Stop);
    assert_eq!(bench.wait(), ["over"]);
    assert_eq!(bench.waited(), PARTING);
}

#[test]
fn a_server_that_does_not_answer_is_told_apart() {
    use FaultKind as K;
    for (error, kind) in [
        (HttpError::Timeout, K::Unreachable),
        (HttpError::Connect("refused".to_owned()), K::Unreachable),
        (
            HttpError::Tls {
                problem: mos_camera_core::TlsProblem::Expired,
                detail: String::new(),
            },
            K::Certificate,
        ),
    ] {
        let mut bench = Bench::new(endpoint(), Memory::default());
        bench.put(Input::Start);
        let outputs = bench.tell(Input::Answer(Err(error.clone())));
        assert_eq!(
            outputs,
            [format!("fail {kind:?}"), "over".to_owned()],
            "{error:?}"
        );
        let mut bench = Bench::offering();
        let outputs = bench.tell(Input::Answer(Err(error.clone())));
        assert_eq!(
            outputs,
            [format!("fail {kind:?}"), "over".to_owned()],
            "{error:?}"
        );
    }
    // OPTIONS is a courtesy.
    let mut bench = Bench::new(endpoint(), Memory::default());
    bench.put(Input::Start);
    bench.put(Input::Offer(OFFER.to_owned()));
    assert_eq!(
        bench.tell(Input::Answer(Err(HttpError::Closed))),
        ["gather "]
    );
}

#[test]
fn webrtcbin_s_refusals_are_faults() {
    let mut bench = Bench::new(endpoint(), Memory::default());
    bench.put(Input::Start);
    assert_eq!(
        bench.tell(Input::Offer("v=0\r\n".to_owned()))[0],
        "fail Internal"
    );
    let mut bench = Bench::offering();
    bench.answer(created(&[]));
    let outputs = bench.tell(Input::Refused("no".to_owned()));
    assert_eq!(
        outputs,
        ["fail Internal", "DELETE media.example/session/1 with token"]
    );
    // An element that makes no offer.
    let mut bench = Bench::new(
        Endpoint {
            link_servers: false,
            ..endpoint()
        },
        Memory::default(),
    );
    bench.put(Input::Start);
    assert_eq!(bench.wait(), ["fail Internal", "over"]);
}
