/** The descriptor limit, reached. */
import { closeSync, openSync } from 'node:fs';

/** Takes every descriptor that this process may have but the last `left`. Returns what gives them back. */
export function takeAllDescriptors(left = 0): () => void {
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    // Every number is taken.
  }
  for (const fd of taken.splice(taken.length - left)) closeSync(fd);
  return () => {
    for (const fd of taken) closeSync(fd);
  };
}
