import { expect, test, vi } from 'vitest';
import { OpenConnection } from './connection.js';

test('a connection closes once, and tells at once whoever comes later', () => {
  const connection = new OpenConnection();
  const [told, forgotten, late] = [vi.fn(), vi.fn(), vi.fn()];
  connection.onClose(told);
  connection.onClose(forgotten)();
  expect(connection.isClosed).toBe(false);
  connection.close();
  connection.close();
  connection.onClose(late);
  expect(connection.isClosed).toBe(true);
  expect(told).toHaveBeenCalledTimes(1);
  expect(forgotten).not.toHaveBeenCalled();
  expect(late).toHaveBeenCalledTimes(1);
});
