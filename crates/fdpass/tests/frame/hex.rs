//! The wire format, literally: each line of a table is bytes on the wire and what they mean.

use fdpass::frame::{
    AckEntry, AckStatus, Decoder, Event, FLAG_ACK_WANTED, Frame, FrameKind, Header, Preamble,
    ProtocolError, Totals, kind,
};

const PREAMBLE: &str = "89 66 64 70 61 73 73 0a  01 00 00 00  00 00 00 00  01 00 00 00 \
                        00 00 00 04  00 40 00 00  00 00 00 00 00 00 00 00 00 00 00 00";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// What a whole input means: one line per event, or the error that ends it.
fn meaning(bytes: &[u8], piece: usize) -> Vec<String> {
    let mut decoder = Decoder::new(1 << 26, 16_384);
    let mut said = Vec::new();
    let mut unread = Vec::new();
    for chunk in bytes.chunks(piece) {
        unread.extend_from_slice(chunk);
        loop {
            match decoder.decode(&unread) {
                Ok(Some((taken, event))) => {
                    note(&mut said, event);
                    unread.drain(..taken);
                }
                Ok(None) => break,
                Err(error) => {
                    said.push(format!("! {error:?}"));
                    return said;
                }
            }
        }
    }
    if !unread.is_empty() {
        said.push(format!("… {} bytes", unread.len()));
    }
    said
}

fn note(said: &mut Vec<String>, event: Event<'_>) {
    match event {
        Event::Preamble(preamble) => said.push(format!(
            "preamble {}.{} codec {} {} bytes {} fds",
            preamble.major,
            preamble.minor,
            preamble.codec,
            preamble.max_message_bytes,
            preamble.max_message_fds
        )),
        Event::Begin(frame) => said.push(describe(&frame)),
        // Pieces are joined, so that the meaning does not depend on how the bytes came.
        Event::Payload { bytes, .. } => {
            let text = String::from_utf8_lossy(bytes);
            match said.last_mut() {
                Some(line) if line.starts_with('"') => line.push_str(&text),
                _ => said.push(format!("\"{text}")),
            }
        }
    }
}

fn describe(frame: &Frame) -> String {
    let name = match frame.kind {
        FrameKind::First(totals) => format!("First {}+{}", totals.bytes, totals.fds),
        other => format!("{other:?}"),
    };
    let ack = if frame.ack_wanted { " ack" } else { "" };
    let end = if frame.completes { " ." } else { "" };
    format!(
        "{name} #{} {}+{}{ack}{end}",
        frame.id, frame.length, frame.fds
    )
}

/// (name, frames after the preamble, what they mean)
const FRAMES: &[(&str, &str, &[&str])] = &[
    (
        "a message of two bytes and one descriptor",
        "02000000 01 00 0100 0100000000000000  6869",
        &["Data #1 2+1 .", "\"hi"],
    ),
    (
        "an empty message",
        "00000000 01 00 0000 0100000000000000",
        &["Data #1 0+0 ."],
    ),
    (
        "a message that wants an acknowledgement",
        "01000000 01 01 fd00 ffffffffffffffff  61",
        &["Data #18446744073709551615 1+253 ack .", "\"a"],
    ),
    (
        "unknown flags are ignored",
        "00000000 01 7e 0000 0100000000000000",
        &["Data #1 0+0 ."],
    ),
    (
        "gaps between ids",
        "00000000 01 00 0000 0500000000000000  00000000 01 00 0000 0900000000000000",
        &["Data #5 0+0 .", "Data #9 0+0 ."],
    ),
    (
        "a message of three frames with an acknowledgement between them",
        "0a000000 02 01 fd00 0100000000000000  04000000 fe000000  6162 \
         00000000 10 00 0000 0700000000000000 \
         01000000 03 00 0100 0100000000000000  63 \
         01000000 03 00 0000 0100000000000000  64",
        &[
            "First 4+254 #1 2+253 ack",
            "\"ab",
            "Ack #7 0+0",
            "Next #1 1+1",
            "\"c",
            "Next #1 1+0 .",
            "\"d",
        ],
    ),
    (
        "a message withdrawn half-way",
        "09000000 02 00 0000 0100000000000000  04000000 00000000  61 \
         00000000 04 00 0000 0100000000000000 \
         00000000 01 00 0000 0200000000000000",
        &[
            "First 4+0 #1 1+0",
            "\"a",
            "Cancel #1 0+0 .",
            "Data #2 0+0 .",
        ],
    ),
    (
        "an unknown optional frame is passed over with its descriptors",
        "03000000 6f 00 0200 0000000000000000  787878 \
         00000000 01 00 0000 0100000000000000",
        &["Unknown(111) #0 3+2", "\"xxx", "Data #1 0+0 ."],
    ),
    (
        "an unknown frame that must be understood",
        "00000000 6f 80 0000 0000000000000000",
        &["! UnknownKind { kind: 111 }"],
    ),
    (
        "the must-understand bit on a known kind changes nothing",
        "00000000 01 80 0000 0100000000000000",
        &["Data #1 0+0 ."],
    ),
    (
        "kind 0",
        "00000000 00 00 0000 0000000000000000",
        &["! UnknownKind { kind: 0 }"],
    ),
    (
        "goodbye",
        "00000000 11 00 0000 0000000000000000",
        &["Goodbye #0 0+0"],
    ),
    (
        "bytes after goodbye",
        "00000000 11 00 0000 0000000000000000 00",
        &["Goodbye #0 0+0", "! AfterGoodbye"],
    ),
    (
        "goodbye inside a message",
        "08000000 02 00 0000 0100000000000000  04000000 00000000 \
         00000000 11 00 0000 0000000000000000",
        &["First 4+0 #1 0+0", "! OutOfOrder { kind: 17 }"],
    ),
    (
        "goodbye with descriptors",
        "00000000 11 00 0100 0000000000000000",
        &["! BadShape { kind: 17, length: 0, fds: 1 }"],
    ),
    (
        "a frame that is too long",
        "01001000 01 00 0000 0100000000000000",
        &["! FrameLength { length: 1048577 }"],
    ),
    (
        "a frame with too many descriptors",
        "00000000 01 00 fe00 0100000000000000",
        &["! FrameFds { fds: 254 }"],
    ),
    (
        "a message that announces more bytes than we accept",
        "08000000 02 00 0000 0100000000000000  01000004 00000000",
        &["! MessageTooLarge { bytes: 67108865, limit: 67108864 }"],
    ),
    (
        "a message that announces more descriptors than we accept",
        "08000000 02 00 0000 0100000000000000  00000000 01400000",
        &["! MessageTooManyFds { fds: 16385, limit: 16384 }"],
    ),
    (
        "a first frame too short for its totals",
        "07000000 02 00 0000 0100000000000000",
        &["! BadShape { kind: 2, length: 7, fds: 0 }"],
    ),
    (
        "a first frame longer than its message",
        "0a000000 02 00 0000 0100000000000000  01000000 00000000  6161",
        &["! BadTotals { id: 1 }"],
    ),
    (
        "a next frame with more descriptors than are left",
        "08000000 02 00 0000 0100000000000000  00000000 01000000 \
         00000000 03 00 0200 0100000000000000",
        &["First 0+1 #1 0+0", "! BadTotals { id: 1 }"],
    ),
    (
        "a next frame that brings nothing",
        "08000000 02 00 0000 0100000000000000  01000000 00000000 \
         00000000 03 00 0000 0100000000000000",
        &["First 1+0 #1 0+0", "! BadTotals { id: 1 }"],
    ),
    (
        "more of a message that has not begun",
        "00000000 03 00 0100 0100000000000000",
        &["! OutOfOrder { kind: 3 }"],
    ),
    (
        "more of another message",
        "08000000 02 00 0000 0100000000000000  01000000 00000000 \
         01000000 03 00 0000 0200000000000000",
        &["First 1+0 #1 0+0", "! BadId { id: 2 }"],
    ),
    (
        "a message inside another",
        "08000000 02 00 0000 0100000000000000  01000000 00000000 \
         00000000 01 00 0000 0200000000000000",
        &["First 1+0 #1 0+0", "! OutOfOrder { kind: 1 }"],
    ),
    (
        "an id that does not rise",
        "00000000 01 00 0000 0100000000000000  00000000 01 00 0000 0100000000000000",
        &["Data #1 0+0 .", "! BadId { id: 1 }"],
    ),
    (
        "an acknowledgement with descriptors",
        "00000000 10 00 0100 0100000000000000",
        &["! BadShape { kind: 16, length: 0, fds: 1 }"],
    ),
    (
        "an acknowledgement with half an entry",
        "0a000000 10 00 0000 0100000000000000",
        &["! BadShape { kind: 16, length: 10, fds: 0 }"],
    ),
    ("half a header", "00000000 01", &["… 5 bytes"]),
];

#[test]
fn each_line_means_what_it_says_however_the_bytes_come() {
    for (name, frames, expected) in FRAMES {
        let bytes = hex(&format!("{PREAMBLE}{frames}"));
        for piece in [1, 3, 16, 24, bytes.len()] {
            let said = meaning(&bytes, piece);
            assert_eq!(
                said[0], "preamble 1.0 codec 1 67108864 bytes 16384 fds",
                "{name}"
            );
            assert_eq!(&said[1..], *expected, "{name}, {piece} bytes at a time");
        }
    }
}

/// (name, first bytes, the error, how many of the bytes suffice to see it)
const STRANGERS: &[(&str, &str, ProtocolError, usize)] = &[
    (
        "http",
        "474554202f20485454502f312e310d0a",
        ProtocolError::Magic,
        1,
    ),
    (
        "a line feed that became two characters",
        "896664706173730d0a",
        ProtocolError::Magic,
        8,
    ),
    (
        "major 2",
        "8966647061737 30a 0200 0000",
        ProtocolError::Major { theirs: 2 },
        10,
    ),
    (
        "major 0",
        "896664706173730a 0000",
        ProtocolError::Major { theirs: 0 },
        10,
    ),
];

#[test]
fn a_stranger_is_seen_at_the_first_byte_that_differs() {
    for (name, bytes, error, enough) in STRANGERS {
        let bytes = hex(bytes);
        for length in 0..=bytes.len() {
            let found = Decoder::new(1, 1).decode(&bytes[..length]);
            if length < *enough {
                assert_eq!(found, Ok(None), "{name}, {length} bytes");
            } else {
                assert_eq!(found, Err(*error), "{name}, {length} bytes");
            }
        }
    }
}

#[test]
fn a_preamble_of_a_later_minor_version_is_read() {
    let mut bytes = hex(PREAMBLE);
    bytes[10] = 9;
    bytes[12] = 0xff;
    bytes[30] = 0xee;
    let found = Preamble::decode(&bytes).unwrap().unwrap();
    assert_eq!((found.minor, found.features, found.codec), (9, 0xff, 1));
}

#[test]
fn what_is_encoded_is_what_the_tables_say() {
    assert_eq!(
        Preamble::new(1, 1 << 26, 16_384).encode()[..],
        hex(PREAMBLE)
    );
    let header = Header {
        length: 2,
        kind: kind::DATA,
        flags: FLAG_ACK_WANTED,
        fds: 3,
        id: 0x0102_0304_0506_0708,
    };
    assert_eq!(
        header.encode()[..],
        hex("02000000 01 01 0300 0807060504030201")
    );
    let totals = Totals {
        bytes: 0x0a0b_0c0d,
        fds: 254,
    };
    assert_eq!(totals.encode()[..], hex("0d0c0b0a fe000000"));
    let entry = AckEntry {
        id: 7,
        status: AckStatus::Truncated,
        sent: 5,
        received: 2,
    };
    let bytes = entry.encode();
    assert_eq!(
        bytes[..],
        hex("0700000000000000 0100 0000 05000000 02000000")
    );
    assert_eq!(AckEntry::decode_all(&bytes).collect::<Vec<_>>(), [entry]);
}

#[test]
fn each_status_has_its_number() {
    let numbers = [
        (1, AckStatus::Truncated),
        (2, AckStatus::Refused),
        (3, AckStatus::TooManyFds),
        (4, AckStatus::TooLarge),
        (5, AckStatus::Withdrawn),
        (99, AckStatus::Other(99)),
    ];
    for (number, status) in numbers {
        let entry = AckEntry {
            id: 1,
            status,
            sent: 0,
            received: 0,
        };
        let bytes = entry.encode();
        assert_eq!(bytes[8], number);
        assert_eq!(AckEntry::decode_all(&bytes).next(), Some(entry));
    }
}

#[test]
fn the_example_in_the_specification_means_what_it_says() {
    let page = include_str!("../../../../docs/protocol.md");
    let example = page.split("```text").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let said_by = |side: &str| {
        let lines = example.lines().filter_map(|line| line.strip_prefix(side));
        // What follows three spaces or more is a remark, except a payload, which is hex again.
        let bytes: String = lines
            .flat_map(|line| line.split("  "))
            .filter(|part| {
                part.bytes()
                    .all(|byte| b"0123456789abcdef ".contains(&byte))
            })
            .collect();
        meaning(&hex(&bytes), 7)
    };
    let preamble = "preamble 1.0 codec 1 67108864 bytes 16384 fds";
    assert_eq!(
        said_by("A"),
        [preamble, "Data #1 2+1 ack .", "\"hi", "Goodbye #0 0+0"]
    );
    assert_eq!(said_by("B"), [preamble, "Ack #1 0+0", "Goodbye #0 0+0"]);
}
