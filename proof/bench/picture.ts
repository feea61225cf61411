/** A picture of how something grows with the number of dispatchers: both axes logarithmic. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const WIDTH = 760;
const HEIGHT = 440;
const LEFT = 80;
const RIGHT = 250;
const TOP = 40;
const BOTTOM = 50;
const COLOURS = ["#1b6ca8", "#2a9d57", "#c77700", "#b3352b", "#6b4fa0", "#5b6770"];

/** @returns an SVG that is readable on light and on dark pages */
export function picture(title: string, yName: string, lines: readonly Line[]): string {
  const points = lines.flatMap((line) => line.points);
  const decades = (values: readonly number[]) => {
    const logs = values.map(Math.log10);
    return [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))] as const;
  };
  const [x0, x1] = decades(points.map(([x]) => x));
  const [y0, y1] = decades(points.map(([, y]) => y));
  const place = (value: number, from: number, to: number) =>
    (Math.log10(value) - from) / Math.max(1, to - from);
  const px = (x: number) => LEFT + place(x, x0, x1) * (WIDTH - LEFT - RIGHT);
  const py = (y: number) => HEIGHT - BOTTOM - place(y, y0, y1) * (HEIGHT - TOP - BOTTOM);
  const text = (x: number, y: number, words: string, anchor = "start", colour = "#444") =>
    `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="${colour}">${words}</text>`;

  const grid: string[] = [];
  for (let decade = x0; decade <= x1; decade++) {
    const x = px(10 ** decade);
    grid.push(`<line x1="${x}" y1="${TOP}" x2="${x}" y2="${HEIGHT - BOTTOM}" stroke="#ddd"/>`);
    grid.push(text(x, HEIGHT - BOTTOM + 18, (10 ** decade).toLocaleString("en-US"), "middle"));
  }
  for (let decade = y0; decade <= y1; decade++) {
    const y = py(10 ** decade);
    grid.push(`<line x1="${LEFT}" y1="${y}" x2="${WIDTH - RIGHT}" y2="${y}" stroke="#ddd"/>`);
    grid.push(text(LEFT - 8, y + 4, (10 ** decade).toLocaleString("en-US"), "end"));
  }
  // Names stand beside the ends of their lines, and make room for each other.
  const ends = lines
    .map(({ name, points }, index) => ({ name, index, y: py(points.at(-1)![1]), x: px(points.at(-1)![0]) }))
    .sort((a, b) => a.y - b.y);
  let above = TOP;
  const names = ends.map(({ name, index, x, y }) => {
    const at = Math.max(y + 4, above + 15);
    above = at;
    return text(Math.max(x, WIDTH - RIGHT) + 10, at, name, "start", COLOURS[index % COLOURS.length]);
  });
  const drawn = lines.map(({ points }, index) => {
    const colour = COLOURS[index % COLOURS.length];
    const path = points.map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(" ");
    const dots = points.map(
      ([x, y]) => `<circle cx="${px(x).toFixed(1)}" cy="${py(y).toFixed(1)}" r="3.5"/>`,
    );
    return `<g fill="${colour}"><polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join("")}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 22, title, "start", "#111"),
    ...grid,
    ...drawn,
    ...names,
    text(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 10, "dispatchers", "middle"),
    `<g transform="translate(16 ${HEIGHT / 2}) rotate(-90)">${text(0, 0, yName, "middle")}</g>`,
    "</svg>",
    "",
  ].join("\n");
}
