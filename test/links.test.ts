// Every relative link of every Markdown file leads to something: a file, a folder, or a heading of a page.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const pages = markdownFiles();

it('there are pages to look at', () => {
  expect(pages).toContain('README.md');
  expect(pages).toContain('docs/README.md');
});

it.each(pages)('the links of %s lead somewhere', (page) => {
  const dead = linksOf(page).filter((target) => !leadsSomewhere(page, target));
  expect(dead).toEqual([]);
});

it('every page of docs is reached from its index', () => {
  const listed = linksOf('docs/README.md').map((target) => join('docs', target));
  const own = pages.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md');
  expect(own.filter((page) => !listed.includes(page))).toEqual([]);
});

it('every export, and every member of an exported class, is on the page of all exports', () => {
  const page = readFileSync(join(checkout, 'docs/api.md'), 'utf8');
  const sections = sectionsOf(readFileSync(join(checkout, 'api/fdpass.txt'), 'utf8'), /^## (.+)$/m);
  const shown = sectionsOf(page, /^## `(.+)`$/m);
  const missing = [...sections].flatMap(([entry, report]) => {
    const text = shown.get(entry) ?? '';
    return namesIn(report).filter(
      (name) => !new RegExp(`\`[^\`\n]*${name.replace('.', '\\.')}\\b`).test(text),
    );
  });
  expect(missing).toEqual([]);
});

/** What is not committed or about to be is nobody's page: dependencies, builds, scratch files. */
function markdownFiles(): string[] {
  const { stdout } = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
    cwd: checkout,
    encoding: 'utf8',
  });
  return stdout.split('\n').filter((name) => name !== '' && existsSync(join(checkout, name)));
}

function linksOf(page: string): string[] {
  const text = withoutCode(readFileSync(join(checkout, page), 'utf8'));
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$/gm)].map(([, a, b]) => a ?? b ?? '');
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

function leadsSomewhere(page: string, target: string): boolean {
  const [path = '', heading] = target.split('#', 2);
  const file = path === '' ? join(checkout, page) : resolve(checkout, dirname(page), path);
  if (relative(checkout, file).startsWith('..') || !existsSync(file)) return false;
  if (heading === undefined || !statSync(file).isFile()) return true;
  return anchorsOf(readFileSync(file, 'utf8')).includes(heading);
}

/** As GitHub makes them. */
function anchorsOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function withoutCode(text: string): string {
  return text
    .replaceAll(/^```[\s\S]*?^```$/gm, '')
    .replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]()#]/g, ''));
}

function sectionsOf(text: string, heading: RegExp): Map<string, string> {
  const [, ...parts] = text.split(heading);
  return new Map(parts.flatMap((part, i) => (i % 2 === 0 ? [[part, parts[i + 1] ?? '']] : [])));
}

/** Names of declarations, and `.member` of classes; blocks that are marked as not exported are left out. */
function namesIn(report: string): string[] {
  return report.split(/\n\n+/).flatMap((block) => {
    const [, kind, name] = /^(class|interface|type|const|function) (\w+)/.exec(block.trim()) ?? [];
    if (name === undefined) return [];
    if (kind !== 'class') return [name];
    const members = [...block.matchAll(/^ {4}(?:static )?(?:get )?(?:readonly )?(\w+)\??[(<:]/gm)];
    return [
      name,
      ...members.map(([, member = '']) => `.${member}`).filter((member) => member !== '.constructor'),
    ];
  });
}
