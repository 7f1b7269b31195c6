/** A bar chart as SVG: readable on a light and on a dark page. */
export function drawBars(title: string, bars: readonly { label: string; value: number }[]): string {
  const row = 26;
  const left = 190;
  const width = 640;
  const top = 44;
  const most = Math.max(...bars.map(({ value }) => value), 1);
  const scale = (width - left - 70) / most;
  const height = top + bars.length * row + 12;
  const lines = bars.map(({ label, value }, index) => {
    const y = top + index * row;
    const colour = label.startsWith('fdpass') ? '#2f81f7' : '#8b949e';
    return [
      `<text x="${left - 10}" y="${y + 14}" text-anchor="end">${label}</text>`,
      `<rect x="${left}" y="${y + 2}" width="${Math.max(value * scale, 1).toFixed(1)}" height="16" rx="2" fill="${colour}"/>`,
      `<text x="${(left + value * scale + 8).toFixed(1)}" y="${y + 14}">${value.toFixed(2)}×</text>`,
    ].join('\n  ');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="#6e7681" role="img" aria-label="${title}">
  <title>${title}</title>
  <text x="12" y="24" font-size="15" font-weight="600">${title}</text>
  ${lines.join('\n  ')}
</svg>
`;
}
