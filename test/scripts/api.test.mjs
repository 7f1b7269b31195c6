import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { publicItems } from '../../scripts/steps/api-rust.mjs';
import { surface } from '../../scripts/steps/api-typescript.mjs';
import { temporaryFolder } from '../helpers/sockets.js';

const crate = `
//! Docs.
use std::io;
/// The limit.
pub const MAX_FDS: usize = 253;
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// One.
    Send { source: io::Error },
    Closed,
}
pub struct Message<'a> {
    /// Bytes.
    pub data: &'a [u8],
    secret: u8,
}
struct Guard;
impl Drop for Guard {
    fn drop(&mut self) {}
}
impl<'a> Message<'a> {
    /// Makes one.
    #[must_use]
    pub fn new(
        data: &'a [u8],
        fds: Vec<u8>,
    ) -> Result<Self, Error>
    where
        Self: Sized,
        u8: Copy,
    {
        Ok(todo(data))
    }
    fn hidden(&self) {
        self.x();
    }
    pub(crate) fn also_hidden(&self) {}
    pub const fn len(&self) -> usize {
        1
    }
}
impl fmt::Display for Error {
    fn fmt(&self) -> fmt::Result {
        Ok(())
    }
}
pub trait Transport {
    fn send(&self) -> usize;
    fn twice(&self) -> usize {
        self.send() * 2
    }
}
#[cfg(test)]
mod tests {
    pub fn helper() {}
}
pub use crate::sys::{one, two};
`;

it('reports every public item of a Rust source, and nothing else', () => {
  expect(publicItems(crate)).toEqual([
    'pub const MAX_FDS: usize = 253',
    '#[derive(Debug, Clone)]',
    '#[non_exhaustive]',
    'pub enum Error {',
    '    Send { source: io::Error },',
    '    Closed,',
    '}',
    "pub struct Message<'a>",
    "    pub data: &'a [u8]",
    "impl<'a> Message<'a>",
    '    #[must_use]',
    "    pub fn new(data: &'a [u8], fds: Vec<u8>) -> Result<Self, Error> where Self: Sized, u8: Copy",
    '    pub const fn len(&self) -> usize',
    'impl fmt::Display for Error',
    'pub trait Transport {',
    '    fn send(&self) -> usize;',
    '    fn twice(&self) -> usize {',
    '}',
    'pub use crate::sys::{one, two}',
  ]);
});

it('reports the declarations behind every export of an entry, and what they refer to', () => {
  const folder = temporaryFolder();
  writeFileSync(
    join(folder, 'index.d.ts'),
    "export { Fd, type Info as FdInfo } from './fd.js';\nexport * from './more.js';\n",
  );
  writeFileSync(
    join(folder, 'fd.d.ts'),
    `/** Owns. */
export declare class Fd {
    #private;
    /** Closes. */
    close(): void;
}
interface Info {
    kind: Kind;
}
type Kind = 'file';
export type { Info };
export declare function hidden(): void;
`,
  );
  writeFileSync(join(folder, 'more.d.ts'), 'export declare function pair(type?: string): [Fd, Fd];\n');
  expect(surface(join(folder, 'index.d.ts'))).toEqual([
    'class Fd {\n    #private;\n    close(): void;\n}',
    'interface Info {\n    kind: Kind;\n}\n// exported as FdInfo',
    'function pair(type?: string): [Fd, Fd];',
    "// not exported\ntype Kind = 'file';",
  ]);
});
