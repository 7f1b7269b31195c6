//! What must hold of the decoder for any bytes. Shared by the fuzz target and the tests of the crate.

use fdpass::ancillary::{CMSG_APPLE, CMSG_LINUX, Decoder, Item, Layout, encode_rights};

/// One control message as the plain walk sees it: level, type, data.
type Plain<'a> = (i32, i32, &'a [u8]);

/// Decodes `bytes` as both systems lay them out, and compares with a second decoder that is plain and slow.
pub(crate) fn check(bytes: &[u8]) {
    check_layout(CMSG_LINUX, size_of::<usize>(), bytes);
    check_layout(CMSG_APPLE, 4, bytes);
}

fn check_layout(layout: Layout, word: usize, bytes: &[u8]) {
    let expected = plain_walk(word, bytes);
    let items: Vec<Item<'_>> = Decoder::new(layout, bytes).collect();
    assert_eq!(items.len(), expected.len());
    for (item, plain) in items.iter().zip(&expected) {
        check_item(layout, item, plain, bytes);
    }
}

fn check_item(layout: Layout, item: &Item<'_>, (level, kind, data): &Plain<'_>, bytes: &[u8]) {
    let whole: Vec<i32> = data
        .chunks_exact(4)
        .map(|chunk| i32::from_ne_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]))
        .collect();
    match item {
        Item::Rights(numbers) | Item::Pidfd(numbers) => {
            assert_eq!(*level, libc::SOL_SOCKET);
            let found: Vec<i32> = numbers.clone().collect();
            assert_eq!(numbers.len(), found.len());
            assert_eq!(found, whole);
            for number in &found {
                let number = number.to_ne_bytes();
                assert!(bytes.windows(4).any(|window| window == number));
            }
            check_encoding(layout, &found);
        }
        Item::Credentials(credentials) => {
            assert_eq!(whole[0], credentials.pid);
            assert_eq!(whole[1].cast_unsigned(), credentials.uid);
            assert_eq!(whole[2].cast_unsigned(), credentials.gid);
        }
        Item::Unknown { level: l, kind: k } => {
            assert_eq!((l, k), (level, kind));
            assert!(*level != libc::SOL_SOCKET || *kind != libc::SCM_RIGHTS);
        }
        other => panic!("an item without a property: {other:?}"),
    }
}

/// What was decoded is encoded and decoded again.
fn check_encoding(layout: Layout, numbers: &[i32]) {
    let room = layout.space(numbers.len() * 4);
    let mut buffer = vec![0xA5; room];
    assert_eq!(
        encode_rights(layout, &mut buffer, numbers.iter().copied()),
        Some(room)
    );
    let mut again = Decoder::new(layout, &buffer);
    match again.next() {
        Some(Item::Rights(found)) => assert!(found.eq(numbers.iter().copied())),
        other => panic!("{other:?}"),
    }
    assert!(again.next().is_none());
}

/// The walk of `CMSG_FIRSTHDR` and `CMSG_NXTHDR`, clamped, in offsets. `word` is the size of the length field and the
/// alignment: they are the same on both systems.
fn plain_walk(word: usize, bytes: &[u8]) -> Vec<Plain<'_>> {
    let round_up = |length: u128| length.div_ceil(word as u128) * word as u128;
    let header = round_up(word as u128 + 8);
    let total = bytes.len() as u128;
    let mut found = Vec::new();
    let mut at = 0u128;
    while at + header <= total {
        let start = at as usize;
        let mut stated = 0u128;
        for (index, byte) in bytes[start..start + word].iter().enumerate() {
            let place = if cfg!(target_endian = "little") {
                index
            } else {
                word - 1 - index
            };
            stated |= u128::from(*byte) << (8 * place);
        }
        if stated < header {
            break;
        }
        let integer = |offset: usize| {
            let four = &bytes[start + offset..start + offset + 4];
            i32::from_ne_bytes([four[0], four[1], four[2], four[3]])
        };
        let end = (at + stated).min(total) as usize;
        found.push((
            integer(word),
            integer(word + 4),
            &bytes[start + header as usize..end],
        ));
        at = (at + round_up(stated)).min(total);
    }
    found
}
