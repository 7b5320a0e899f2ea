/** One client, from its greeting to its end. @module */
import type { Duplex } from 'node:stream'
import { isGranaryError } from '@granary/core'
import type { GranaryError } from '@granary/core'
import { protocolError } from '../protocol/fields.ts'
import { welcome } from './handshake.ts'
import type { HandshakeContext } from './handshake.ts'
import { Transmission } from './transmission.ts'
import type { SharedResources } from './transmission.ts'
import { Wire } from './wire.ts'

export class Connection {
  readonly #context: HandshakeContext
  readonly #shared: SharedResources
  #wire: Wire
  #transmission: Transmission | undefined

  constructor(stream: Duplex, context: HandshakeContext, shared: SharedResources) {
    this.#context = context
    this.#shared = shared
    this.#wire = new Wire(stream)
  }

  /** Serves the client until it leaves. @returns why it was cut off; undefined when all went well */
  async run(): Promise<GranaryError | undefined> {
    try {
      const session = await this.#handshake()
      if (session === undefined) return undefined
      this.#transmission = new Transmission(session, this.#shared)
      // `close` may have come while the handshake ended.
      if (this.#context.isClosing()) this.#transmission.close()
      await this.#transmission.run()
      return undefined
    } catch (error) {
      this.#wire.destroy()
      return isGranaryError(error) ? error : protocolError(`a connection failed: ${String(error)}`)
    } finally {
      await this.#wire.end()
    }
  }

  /** Ends the connection after what is at work; one that has not opened an export at once. */
  close(): void {
    if (this.#transmission === undefined) this.#wire.destroy()
    else this.#transmission.close()
  }

  /** Ends the connection now. */
  destroy(): void {
    this.#transmission?.abort()
    this.#wire.destroy()
  }

  async #handshake(): ReturnType<typeof welcome> {
    const timer = setTimeout(() => this.#wire.destroy(), this.#context.limits.handshakeTimeoutMs)
    try {
      return await welcome(this.#wire, this.#context, wire => {
        this.#wire = wire
      })
    } finally {
      clearTimeout(timer)
    }
  }
}
