//! The corpus of the fuzz target, replayed without a fuzzer.

use std::fs;
use std::path::Path;

use crate::decoder::checks;

#[test]
fn every_file_of_the_corpus_keeps_the_properties_of_the_decoder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/decode_ancillary");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        checks::check(&fs::read(&path).unwrap());
        files += 1;
    }
    assert!(files >= 10, "only {files} files");
}
