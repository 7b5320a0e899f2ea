/**
 * Where images are served: an imageio daemon on each host, and the proxy beside the engine. All share one table of what
 * is behind a URL, as the hosts share their storage.
 *
 * @see CONTRACT §5.7
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GranaryError } from '@granary/core'
import type { ImageBackend } from '../imageio/backend.ts'
import { startImageio } from '../imageio/daemon.ts'
import type { Imageio } from '../imageio/daemon.ts'
import { openBackendByUrl } from '../imageio/open-backend.ts'
import type { World } from '../model/world.ts'
import { createAuthority } from '../pki/authority.ts'
import type { Authority } from '../pki/authority.ts'

/** Where the engine is, and the network by which the proxy reaches the hosts. */
const ADDRESS = '127.0.0.1'
const PORT = 54322
const PROXY_PORT = 54323

/** `foreign`: of an authority that nobody trusts. */
export type CertificateKind = 'right' | 'expired' | 'foreign'

/** Who signs the certificates. */
export interface Authorities {
  readonly hosts: Authority
  readonly proxy: Authority
}

export interface Image {
  open(): Promise<ImageBackend>
}

export class ImageHosts implements AsyncDisposable {
  readonly #world: World
  readonly #authorities: Authorities
  readonly #daemons = new Map<string, Promise<Imageio>>()
  readonly #images = new Map<string, Image>()
  #proxy: Promise<Imageio> | undefined

  constructor(world: World, authorities: Authorities) {
    this.#world = world
    this.#authorities = authorities
  }

  /** Lets hosts and the proxy answer from now on. */
  async start(hostIds: readonly string[]): Promise<void> {
    for (const hostId of hostIds) await this.daemonOf(hostId)
    await this.proxy()
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

  /** Gives a host's daemon another certificate, for connections to come. */
  async setCertificate(hostId: string, kind: CertificateKind): Promise<void> {
    const authority = kind === 'foreign' ? createAuthority('somebody-else') : this.#authorities.hosts
    const notAfterMs = kind === 'expired' ? Date.now() - 1_000 : undefined
    const daemon = await this.daemonOf(hostId)
    daemon.setCertificate(authority.issue({ names: this.#namesOf(hostId), notAfterMs }))
  }

  /** From now on clients get no answer from a host; the proxy still does. */
  async hide(hostId: string): Promise<void> {
    await (await this.daemonOf(hostId)).setReachable('silent', 'clients')
  }

  async show(hostId: string): Promise<void> {
    await (await this.daemonOf(hostId)).setReachable('reachable', 'clients')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#proxy !== undefined) await (await this.#proxy)[Symbol.asyncDispose]()
    for (const daemon of this.#daemons.values()) await (await daemon)[Symbol.asyncDispose]()
  }

  #addressOf(hostId: string): string {
    return String(this.#world.plain.hosts.get(hostId)?.['address'])
  }

  #namesOf(hostId: string): string[] {
    return [this.#addressOf(hostId), ADDRESS, 'localhost']
  }

  async #startDaemon(hostId: string): Promise<Imageio> {
    return await startImageio({
      clock: this.#world.clock,
      host: this.#addressOf(hostId),
      port: PORT,
      innerHost: ADDRESS,
      certificate: this.#authorities.hosts.issue({ names: this.#namesOf(hostId) }),
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
    await writeFile(caFile, this.#authorities.hosts.cert)
    return await startImageio({
      clock: this.#world.clock,
      host: ADDRESS,
      port: PROXY_PORT,
      certificate: this.#authorities.proxy.issue({ names: [ADDRESS, 'localhost'] }),
      openBackend: openBackendByUrl({ caFile }),
    })
  }
}
