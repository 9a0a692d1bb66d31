import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Acknowledgements } from './acknowledgements.js';

const roomy = { linesMax: 100, bytesMax: 1000 };

describe('Acknowledgements', () => {
  it('leave in the order of the lines, whatever the order they become known in', async () => {
    const written: string[] = [];
    const acknowledgements = new Acknowledgements(roomy, async (text) => {
      written.push(text);
    });
    const [a, b, c] = [
      await acknowledgements.place(1),
      await acknowledgements.place(1),
      await acknowledgements.place(1),
    ];
    c('c');
    await nextTurn();
    expect(written).toEqual([]);
    a('a');
    await nextTurn();
    await nextTurn();
    expect(written).toEqual(['a']);
    b('b');
    await acknowledgements.settled();
    expect(written).toEqual(['a', 'bc']);
  });

  it('leave in one write when they become known in one turn', async () => {
    const written: string[] = [];
    const acknowledgements = new Acknowledgements(roomy, async (text) => {
      written.push(text);
    });
    const places = await Promise.all([1, 2, 3].map((bytes) => acknowledgements.place(bytes)));
    for (const place of places) place('x');
    await acknowledgements.settled();
    expect(written).toEqual(['xxx']);
  });

  it.each([
    { linesMax: 2, bytesMax: 1000 },
    { linesMax: 100, bytesMax: 20 },
  ])('make the next line wait at the bound %j until one was written', async (bounds) => {
    let release = (): void => {};
    const acknowledgements = new Acknowledgements(
      bounds,
      () =>
        new Promise((done) => {
          release = done;
        }),
    );
    const first = await acknowledgements.place(10);
    await acknowledgements.place(10);
    let placed = false;
    const third = acknowledgements.place(10).then((acknowledge) => {
      placed = true;
      return acknowledge;
    });
    first('1');
    await nextTurn();
    await nextTurn();
    // Known, but not taken by the reader yet: its place is free only for the one that left the queue.
    release();
    await third;
    expect(placed).toBe(true);
  });

  it('let a line larger than the bound through alone', async () => {
    const acknowledgements = new Acknowledgements({ linesMax: 10, bytesMax: 5 }, async () => {});
    const place = await acknowledgements.place(50);
    place('x');
    await acknowledgements.settled();
  });

  it('write nothing more after a write failed, but still settle', async () => {
    let writes = 0;
    const acknowledgements = new Acknowledgements(roomy, async () => {
      writes++;
      throw new Error('gone');
    });
    (await acknowledgements.place(1))('a');
    await acknowledgements.settled();
    (await acknowledgements.place(1))('b');
    await acknowledgements.settled();
    expect(writes).toBe(1);
    expect(String(acknowledgements.failure)).toContain('gone');
  });
});
