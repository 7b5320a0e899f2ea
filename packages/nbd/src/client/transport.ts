/** One byte stream to a server: a socket, TLS over it, or any duplex stream. @module */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { describeAddress } from '../address.ts'
import type { NbdAddress } from '../address.ts'
import { gatherWrites } from '../gathered-writes.ts'

const SCRATCH_BYTES = 64 * 1024
/** Enough for the heads of a reply, with little of its payload to copy. */
const SMALL_SCRATCH_BYTES = 4096

/** Who takes what arrives. */
export interface Receiver {
  /** Where the next bytes may be put at once, or undefined for "anywhere, then `push`". Asked before each read of the socket. */
  readonly window: () => Bytes | undefined
  /** True when what comes next begins long payloads: little is then read ahead of their window. */
  readonly isBulk: () => boolean
  /** So many bytes stand at the start of the last window. */
  readonly filled: (count: number) => void
  /** Takes bytes that are only lent for the call. */
  readonly push: (bytes: Bytes) => void
  /** Nothing more comes. Called at least once, perhaps more often. */
  readonly ended: (error: GranaryError) => void
}

const NOBODY: Receiver = {
  window: () => undefined,
  isBulk: () => false,
  filled: () => {},
  push: () => {},
  ended: () => {},
}

/**
 * Sends bytes, gathered per turn of the event loop into one system call, and hands what arrives to its receiver.
 * On plain sockets the kernel writes straight into the receiver's window: the payload of a read is not copied again.
 */
export class Transport {
  readonly #stream: Duplex
  readonly #name: string
  #receiver: Receiver = NOBODY
  readonly #write: (bytes: Bytes, sent?: () => void) => void
  #failure: GranaryError | undefined
  readonly #onData = (bytes: Bytes): void => this.#receiver.push(bytes)
  readonly #onEnd = (): void => this.#fail(undefined)
  readonly #onError = (cause: unknown): void => this.#fail(cause)

  /** @param name of the peer, for messages */
  constructor(stream: Duplex, name: string, isDirect = false) {
    this.#stream = stream
    this.#name = name
    this.#write = gatherWrites(stream)
    if (!isDirect) stream.on('data', this.#onData)
    stream.on('end', this.#onEnd)
    stream.on('close', this.#onEnd)
    stream.on('error', this.#onError)
  }

  get name(): string {
    return this.#name
  }

  /** Gives what arrives from now on to `receiver`. */
  set receiver(receiver: Receiver) {
    this.#receiver = receiver
    if (this.#failure !== undefined) receiver.ended(this.#failure)
  }

  /** Where to read to: a window of the receiver, or the scratch, or its beginning. */
  place(scratch: Bytes, smallScratch: Bytes): Bytes {
    return this.#receiver.window() ?? (this.#receiver.isBulk() ? smallScratch : scratch)
  }

  deliver(bytes: Bytes, isWindow: boolean): void {
    if (isWindow) this.#receiver.filled(bytes.length)
    else this.#receiver.push(bytes)
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  /**
   * Queues bytes, which must stay unchanged until `sent` is called.
   *
   * @param sent called when the stream needs the bytes no more, also on failure
   */
  write(bytes: Bytes, sent?: () => void): void {
    this.#write(bytes, sent)
  }

  /** Ends the sending side after all that was written. */
  end(): void {
    this.#stream.end()
  }

  destroy(): void {
    this.#stream.destroy()
  }

  /** Gives the stream away, for TLS to be put over it. */
  release(): Duplex {
    this.#stream.off('data', this.#onData)
    this.#stream.off('end', this.#onEnd)
    this.#stream.off('close', this.#onEnd)
    this.#stream.off('error', this.#onError)
    // Whoever has the stream now hears of its end; an error that nobody listens to would end the process.
    this.#stream.on('error', () => undefined)
    this.#receiver = NOBODY
    return this.#stream
  }

  #fail(cause: unknown): void {
    this.#failure ??= new GranaryError(
      'GRANARY_IO',
      `NBD: the connection to ${this.#name} ${cause === undefined ? 'was closed by the server' : 'failed'}`,
      { retryable: true, ...(cause === undefined ? {} : { cause }), detail: { peer: this.#name } },
    )
    this.#receiver.ended(this.#failure)
  }
}

export interface OpenTransportOptions {
  /** False where TLS will be put over the socket, which cannot read straight into windows. */
  readonly isDirect: boolean
  readonly signal: AbortSignal
}

/**
 * Connects a socket.
 *
 * @throws GranaryError `GRANARY_IO` (retryable) when nobody answers; the signal's reason when it is aborted
 */
export const openTransport = async (
  address: NbdAddress,
  { isDirect, signal }: OpenTransportOptions,
): Promise<Transport> => {
  signal.throwIfAborted()
  const name = describeAddress(address)
  const scratch = new Uint8Array(SCRATCH_BYTES)
  const smallScratch = scratch.subarray(0, SMALL_SCRATCH_BYTES)
  let transport: Transport | undefined
  const onread = {
    buffer: (): Bytes => transport?.place(scratch, smallScratch) ?? scratch,
    callback: (count: number, buffer: Bytes): boolean => {
      transport?.deliver(buffer.subarray(0, count), buffer !== scratch && buffer !== smallScratch)
      return true
    },
  }
  const where = address.kind === 'tcp' ? { host: address.host, port: address.port } : { path: address.path }
  const socket = connect({ ...where, ...(isDirect ? { onread } : {}) })
  await connected(socket, name, signal)
  if (address.kind === 'tcp') socket.setNoDelay(true).setKeepAlive(true, 30_000)
  transport = new Transport(socket, name, isDirect)
  return transport
}

const connected = async (socket: Socket, name: string, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort)
      socket.off('error', onError).off('connect', onConnect)
    }
    const onAbort = (): void => {
      settle()
      socket.on('error', () => {}).destroy()
      reject(signal.reason as Error)
    }
    const onConnect = (): void => {
      settle()
      resolve()
    }
    const onError = (cause: unknown): void => {
      settle()
      reject(
        new GranaryError('GRANARY_IO', `NBD: cannot connect to ${name}`, {
          cause,
          retryable: true,
          detail: { peer: name },
        }),
      )
    }
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', onConnect).once('error', onError)
  })
