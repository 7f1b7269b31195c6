//! Replays the corpus of the fuzz target `decode_frame` on the stable toolchain, and every cut of every entry.

include!("../../../../fuzz/checks/decode_frame.rs");

#[test]
fn nothing_in_the_corpus_breaks_the_decoder() {
    let corpus = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fuzz/corpus/decode_frame"
    );
    let mut entries = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let data = std::fs::read(entry.unwrap().path()).unwrap();
        for length in 0..=data.len() {
            check(&data[..length]);
        }
        entries += 1;
    }
    assert!(entries >= 10, "the corpus is missing: {entries} entries");
}
