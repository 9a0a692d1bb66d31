import { once } from 'node:events';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';

interface Address {
  readonly host: string;
  readonly port: number;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** What the server said while answers were held. */
  held: Buffer[];
}

/** A wire between a client and a server that can be slow, lose answers, or be cut. */
export class TcpProxy {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly #listener: Server;
  readonly #pairs = new Set<Pair>();
  #target: Address;
  #mode: 'open' | 'holding' | 'losing' = 'open';
  #delayMs = 0;
  #isShut = false;
  /** Answers that were lost, with the connections they came over. */
  lost = 0;

  private constructor(listener: Server, port: number, target: Address) {
    this.#listener = listener;
    this.port = port;
    this.#target = target;
  }

  static async start(target: Address): Promise<TcpProxy> {
    const listener = createServer({ noDelay: true });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const address = listener.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
    const proxy = new TcpProxy(listener, address.port, target);
    listener.on('connection', (client) => proxy.#join(client));
    return proxy;
  }

  /** Answers stay here until `release`; requests go through. */
  hold(): void {
    this.#mode = 'holding';
  }

  release(): void {
    this.#mode = 'open';
    for (const pair of this.#pairs) {
      for (const data of pair.held.splice(0)) pair.client.write(data);
    }
  }

  /** The next answer is lost, and the connection it comes over is cut: the server has done what it was asked, and nobody hears of it. */
  loseNext(): void {
    this.#mode = 'losing';
  }

  /** Every answer comes so much later. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** As a wire that is pulled: whatever is on its way is lost. */
  cut(): void {
    for (const pair of [...this.#pairs]) this.#end(pair);
  }

  /** Lets nobody connect, until `unshut`. */
  shut(): void {
    this.#isShut = true;
    this.cut();
  }

  unshut(): void {
    this.#isShut = false;
  }

  /** As a name that leads to another server from now on. */
  lead(target: Address): void {
    this.#target = target;
    this.cut();
  }

  async close(): Promise<void> {
    this.cut();
    this.#listener.close();
    await once(this.#listener, 'close');
  }

  #join(client: Socket): void {
    client.on('error', () => {});
    if (this.#isShut) {
      client.destroy();
      return;
    }
    const server = dial({ host: this.#target.host, port: this.#target.port, noDelay: true });
    const pair: Pair = { client, server, held: [] };
    this.#pairs.add(pair);
    server.on('error', () => {});
    client.on('data', (data) => server.write(data));
    server.on('data', (data) => this.#answer(pair, data));
    for (const socket of [client, server]) socket.on('close', () => this.#end(pair));
  }

  #answer(pair: Pair, data: Buffer): void {
    if (this.#mode === 'losing') {
      this.#mode = 'open';
      this.lost++;
      this.#end(pair);
    } else if (this.#mode === 'holding') {
      pair.held.push(data);
    } else if (this.#delayMs > 0) {
      setTimeout(() => pair.client.write(data), this.#delayMs);
    } else {
      pair.client.write(data);
    }
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.client.destroy();
    pair.server.destroy();
  }
}
