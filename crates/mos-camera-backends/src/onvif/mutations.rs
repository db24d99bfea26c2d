//! Answers that were cut, swapped and garbled at random: whatever is made of them, nothing breaks.

use proptest::prelude::*;

use super::fuzzing::{http_challenge, soap_answer, ws_discovery};

/// As cameras send them; every parser gets every one.
const RECORDED: [&str; 7] = [
    r#"<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:tt="http://www.onvif.org/ver10/schema"><s:Body><tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType><tt:UTCDateTime><tt:Time><tt:Hour>7</tt:Hour><tt:Minute>50</tt:Minute><tt:Second>45</tt:Second></tt:Time><tt:Date><tt:Year>2010</tt:Year><tt:Month>9</tt:Month><tt:Day>16</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse></s:Body></s:Envelope>"#,
    r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><GetServicesResponse xmlns="http://www.onvif.org/ver10/device/wsdl"><Service><Namespace>http://www.onvif.org/ver20/media/wsdl</Namespace><XAddr>http://192.0.2.1/onvif/media2</XAddr></Service></GetServicesResponse></s:Body></s:Envelope>"#,
    r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tt="http://www.onvif.org/ver10/schema"><s:Body><trt:GetProfilesResponse><trt:Profiles token="p&amp;1" fixed="true"><tt:Name>Main</tt:Name><tt:VideoEncoderConfiguration token="e1"><tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>1920</tt:Width><tt:Height>1080</tt:Height></tt:Resolution><tt:RateControl><tt:FrameRateLimit>29.970</tt:FrameRateLimit></tt:RateControl></tt:VideoEncoderConfiguration></trt:Profiles></trt:GetProfilesResponse></s:Body></s:Envelope>"#,
    r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tr2="http://www.onvif.org/ver20/media/wsdl" xmlns:tt="http://www.onvif.org/ver10/schema"><s:Body><tr2:GetVideoEncoderConfigurationOptionsResponse><tr2:Options GovLengthRange="1 100" FrameRatesSupported="30 25 12.5"><tt:Encoding>H265</tt:Encoding><tt:ResolutionsAvailable><tt:Width>640</tt:Width><tt:Height>480</tt:Height></tt:ResolutionsAvailable></tr2:Options></tr2:GetVideoEncoderConfigurationOptionsResponse></s:Body></s:Envelope>"#,
    r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:ter="http://www.onvif.org/ver10/error"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">Sender not Authorized</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"#,
    r#"<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><SOAP-ENV:Header><wsa:MessageID>uuid:1</wsa:MessageID></SOAP-ENV:Header><SOAP-ENV:Body><d:ProbeMatches><d:ProbeMatch><wsa:EndpointReference><wsa:Address>urn:uuid:8f1e</wsa:Address></wsa:EndpointReference><d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://www.onvif.org/name/Yard%20Cam onvif://www.onvif.org/hardware/C%2</d:Scopes><d:XAddrs>http://192.0.2.1/onvif/device_service http://[fe80::1]/o</d:XAddrs></d:ProbeMatch></d:ProbeMatches></SOAP-ENV:Body></SOAP-ENV:Envelope>"#,
    r#"Digest realm="a\"b", qop="auth,auth-int", algorithm=MD5, nonce="7ypf", opaque="x", stale=TRUE"#,
];

#[derive(Debug, Clone)]
enum Change {
    Cut(usize),
    Drop(usize, usize),
    Repeat(usize, usize, u8),
    Put(usize, &'static str),
    Flip(usize, u8),
}

const BITS: [&str; 14] = [
    "<",
    ">",
    "</",
    "/>",
    "&",
    "&#xD800;",
    "&lt;",
    "<![CDATA[",
    "<!DOCTYPE a>",
    "\0",
    "é",
    "\"",
    "%",
    "99999999999999999999",
];

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<usize>().prop_map(Change::Cut),
        (any::<usize>(), 1..200_usize).prop_map(|(at, n)| Change::Drop(at, n)),
        (any::<usize>(), 1..200_usize, 1..9_u8)
            .prop_map(|(at, n, times)| Change::Repeat(at, n, times)),
        (any::<usize>(), proptest::sample::select(&BITS[..]))
            .prop_map(|(at, bit)| Change::Put(at, bit)),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Flip(at, byte)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let place = |at: usize, bytes: &[u8]| at % (bytes.len() + 1);
    match change {
        Change::Cut(at) => bytes.truncate(place(*at, bytes)),
        Change::Drop(at, n) => {
            let at = place(*at, bytes);
            let end = (at + n).min(bytes.len());
            bytes.drain(at..end);
        }
        Change::Repeat(at, n, times) => {
            let at = place(*at, bytes);
            let piece = bytes[at..(at + n).min(bytes.len())].repeat(usize::from(*times));
            bytes.splice(at..at, piece);
        }
        Change::Put(at, bit) => {
            let at = place(*at, bytes);
            bytes.splice(at..at, bit.bytes());
        }
        Change::Flip(at, byte) => {
            let at = place(*at, bytes);
            if let Some(old) = bytes.get_mut(at) {
                *old ^= byte;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn garbled_answers_break_nothing(
        which in 0..RECORDED.len(),
        changes in proptest::collection::vec(change(), 0..6),
    ) {
        let mut bytes = RECORDED[which].as_bytes().to_vec();
        for change in &changes {
            apply(&mut bytes, change);
        }
        soap_answer(&bytes);
        ws_discovery(&bytes);
        http_challenge(&bytes);
    }
}
