/**
 * Where images are served: an imageio daemon on each host, and the proxy beside the engine. All share one table of what
 * is behind a URL, as the hosts share their storage.
 *
 * @see CONTRACT §5.7
 * @module
 */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { join } from 'node:path'
import { GranaryError } from '@granary/core'
import type { ImageBackend } from '../imageio/backend.ts'
import { startImageio } from '../imageio/daemon.ts'
import type { Imageio } from '../imageio/daemon.ts'
import { openBackendByUrl } from '../imageio/open-backend.ts'
import type { World } from '../model/world.ts'
import { createAuthority } from '../pki/authority.ts'
import type { Authority } from '../pki/authority.ts'

const ADDRESS = '127.0.0.1'

/** `foreign`: of an authority that nobody trusts. */
export type CertificateKind = 'right' | 'expired' | 'foreign'

export interface Image {
  open(): Promise<ImageBackend>
}

export class ImageHosts implements AsyncDisposable {
  readonly #world: World
  readonly #authority: Authority
  readonly #daemons = new Map<string, Promise<Imageio>>()
  readonly #images = new Map<string, Image>()
  /** Hosts that clients cannot reach, and where they are sent instead. */
  readonly #hidden = new Map<string, Server>()
  #proxy: Promise<Imageio> | undefined

  constructor(world: World, authority: Authority) {
    this.#world = world
    this.#authority = authority
  }

  /** The daemon of a host, started at its first use. */
  async daemonOf(hostId: string): Promise<Imageio> {
    const known = this.#daemons.get(hostId) ?? this.#startDaemon(hostId)
    this.#daemons.set(hostId, known)
    return await known
  }

  async proxy(): Promise<Imageio> {
    this.#proxy ??= this.#startProxy()
    return await this.#proxy
  }

  /** What a URL of a ticket means, until `forget`. */
  register(url: string, image: Image): void {
    this.#images.set(url, image)
  }

  forget(url: string): void {
    this.#images.delete(url)
  }

  /** What clients are told for a ticket on a host. */
  async urlOf(hostId: string, ticketId: string): Promise<string> {
    const hidden = this.#hidden.get(hostId)
    if (hidden === undefined) return (await this.daemonOf(hostId)).urlOf(ticketId)
    return `https://${ADDRESS}:${(hidden.address() as AddressInfo).port}/images/${ticketId}`
  }

  /** Gives a host's daemon another certificate, for connections to come. */
  async setCertificate(hostId: string, kind: CertificateKind): Promise<void> {
    const authority = kind === 'foreign' ? createAuthority('somebody-else') : this.#authority
    const notAfterMs = kind === 'expired' ? Date.now() - 1_000 : undefined
    const daemon = await this.daemonOf(hostId)
    daemon.setCertificate(authority.issue({ names: this.#namesOf(hostId), notAfterMs }))
  }

  /** From now on clients are given an address of the host that never answers; the proxy still reaches it. */
  async hide(hostId: string): Promise<void> {
    const sockets = new Set<Socket>()
    const server = createServer(socket => sockets.add(socket.on('error', () => undefined)))
    server.on('close', () => sockets.clear())
    server.listen(0, ADDRESS)
    await once(server, 'listening')
    server.once('shutdown', () => {
      for (const socket of sockets) socket.destroy()
    })
    this.#hidden.set(hostId, server)
  }

  async show(hostId: string): Promise<void> {
    const server = this.#hidden.get(hostId)
    this.#hidden.delete(hostId)
    server?.emit('shutdown')
    server?.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const hostId of [...this.#hidden.keys()]) await this.show(hostId)
    if (this.#proxy !== undefined) await (await this.#proxy)[Symbol.asyncDispose]()
    for (const daemon of this.#daemons.values()) await (await daemon)[Symbol.asyncDispose]()
  }

  /** Its address in the engine first, then where it really listens. */
  #namesOf(hostId: string): string[] {
    return [String(this.#world.plain.hosts.get(hostId)?.['address']), ADDRESS, 'localhost']
  }

  async #startDaemon(hostId: string): Promise<Imageio> {
    return await startImageio({
      clock: this.#world.clock,
      host: ADDRESS,
      certificate: this.#authority.issue({ names: this.#namesOf(hostId) }),
      localSocket: `\0/org/ovirt/imageio/${hostId}`,
      openBackend: async url => {
        const image = this.#images.get(url)
        if (image === undefined) throw new GranaryError('GRANARY_NOT_FOUND', `nothing is behind ${url}`)
        return await image.open()
      },
    })
  }

  async #startProxy(): Promise<Imageio> {
    const caFile = join(this.#world.folder, 'internal-ca.pem')
    await writeFile(caFile, this.#authority.cert)
    return await startImageio({
      clock: this.#world.clock,
      host: ADDRESS,
      certificate: this.#authority.issue({ names: [ADDRESS, 'localhost'] }),
      openBackend: openBackendByUrl({ caFile }),
    })
  }
}
