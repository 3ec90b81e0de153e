export interface IBox {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface ILabel {
  x: number;
  y: number;
  anchor: 'start' | 'middle' | 'end';
}

const LETTER = 6.2;
const WIDE_LETTER = 11.5;
const LINE = 13;
const GAP = 4;

/**
 * Where the names of circles go so that they cover neither each other nor a circle: right, left, above or below,
 * whichever is free first; null where none is.
 */
export function placed(
  circles: { name: string; x: number; y: number; r: number }[],
  room: IBox
): (ILabel | null)[] {
  const taken: IBox[] = circles.map(({ x, y, r }) => ({
    x: x - r,
    y: y - r,
    width: 2 * r,
    height: 2 * r
  }));
  return circles.map(({ name, x, y, r }) => {
    const long = [...name].reduce(
      (sum, letter) => sum + (letter > '\u2e7f' ? WIDE_LETTER : LETTER),
      0
    );
    const choices: [ILabel, IBox][] = [
      choice(x + r + GAP, y, 'start', long),
      choice(x - r - GAP, y, 'end', long),
      choice(x, y - r - GAP - LINE / 2, 'middle', long),
      choice(x, y + r + GAP + LINE / 2, 'middle', long),
      choice(x + r, y - r - LINE / 2, 'start', long),
      choice(x + r, y + r + LINE / 2, 'start', long),
      choice(x - r, y - r - LINE / 2, 'end', long),
      choice(x - r, y + r + LINE / 2, 'end', long)
    ];
    const inside = choices.filter(
      ([, box]) =>
        box.x >= room.x &&
        box.x + box.width <= room.x + room.width &&
        box.y >= room.y &&
        box.y + box.height <= room.y + room.height
    );
    const free = inside.find(
      ([, one]) => !taken.some(other => overlap(one, other))
    );
    if (!free) {
      return null;
    }
    taken.push(free[1]);
    return free[0];
  });
}

function choice(
  x: number,
  y: number,
  anchor: ILabel['anchor'],
  width: number
): [ILabel, IBox] {
  const left = { start: x, middle: x - width / 2, end: x - width }[anchor];
  return [
    { x, y, anchor },
    { x: left, y: y - LINE / 2, width, height: LINE }
  ];
}

function overlap(a: IBox, b: IBox): boolean {
  return (
    a.x < b.x + b.width &&
    b.x < a.x + a.width &&
    a.y < b.y + b.height &&
    b.y < a.y + a.height
  );
}
