import * as React from 'react';

/** Round values inside a range, `n` of them or somewhat more. */
export function ticks(low: number, high: number, n: number): number[] {
  if (!(high > low)) {
    return [low];
  }
  const rough = (high - low) / n;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step =
    [5, 2, 1].map(m => m * power).find(s => s <= rough * 1.0001) ?? power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12))
  );
}

/** The range of values, with a little air; never empty, and that of shares within 0 and 1. */
export function extent(values: number[], air = 0.06): [number, number] {
  if (!values.length) {
    return [0, 1];
  }
  let [low, high] = [values[0], values[0]];
  values.forEach(value => {
    low = Math.min(low, value);
    high = Math.max(high, value);
  });
  const span = high - low || Math.abs(high) || 1;
  const shares = low >= 0 && high <= 1;
  return [
    shares ? Math.max(0, low - span * air) : low - span * air,
    shares ? Math.min(1, high + span * air) : high + span * air
  ];
}

/** A linear map from a range of values to a range of pixels. */
export function linear(
  [low, high]: [number, number],
  [from, to]: [number, number]
): (value: number) => number {
  const span = high - low || 1;
  return value => from + ((value - low) / span) * (to - from);
}

/** The width of an element as it is now, for drawings that are exact to the pixel. */
export function useWidth(
  fallback: number
): [React.RefObject<HTMLDivElement>, number] {
  const ref = React.useRef<HTMLDivElement>(null);
  const [width, setWidth] = React.useState(fallback);
  React.useEffect(() => {
    const el = ref.current;
    if (!el) {
      return;
    }
    const measure = () => el.clientWidth && setWidth(el.clientWidth);
    measure();
    if (typeof ResizeObserver === 'undefined') {
      return;
    }
    const observer = new ResizeObserver(measure);
    observer.observe(el);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}
