/**
 * A writer session: announces itself, reads what it may refer to, stores packs and index segments, and commits once.
 * Who may do what when is the heart of the repository: see docs/formats/repository.md, "Writers".
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { createDataKey, suiteByName } from '@granary/transform'
import { isDamage } from '../format/damage.ts'
import { createSessionId, keyOfId, packKey, packOfKey } from '../format/ids.ts'
import type { PackName } from '../format/ids.ts'
import { readGcState } from '../gc/gc-state.ts'
import { RepositoryIndex } from '../index/repository-index.ts'
import type { FoundBlob } from '../index/repository-index.ts'
import { SegmentPublisher } from '../index/segment-publisher.ts'
import { openPack } from '../packs/pack-reader.ts'
import type { PackSeal } from '../packs/pack-builder.ts'
import type { PackType } from '../packs/pack-format.ts'
import type { RepositoryContext } from './context.ts'
import { commit, fence, readDecision } from './decisions.ts'
import type { Heartbeat } from './heartbeat.ts'
import type { Manifest } from './manifest.ts'
import { sweepTemporaries } from './sweep.ts'
import { readPackTrust } from './pack-trust.ts'
import type { PackTrust } from './pack-trust.ts'
import { announceSession, listSessions, withdrawSession } from './session-registry.ts'

/** What the session knows of a blob. */
export type Knowledge = 'stored' | 'unknown'

export class WriterSession implements AsyncDisposable {
  readonly sid: string
  readonly context: RepositoryContext
  /** What the session may refer to. */
  readonly index: RepositoryIndex
  /** For reading: also packs under a tomb that isn't decided, where the nodes of a parent's map may lie. */
  readonly readable: RepositoryIndex
  readonly #heartbeat: Heartbeat
  readonly #publisher: SegmentPublisher
  readonly #dataSeal: PackSeal
  readonly #mapSeal: PackSeal
  /** Ids that this session is storing, or has stored and not yet published, by type. */
  readonly #claimed: Record<PackType, Set<string>> = { dataPack: new Set(), mapPack: new Set() }
  #isDecided = false

  private constructor(
    context: RepositoryContext,
    sid: string,
    heartbeat: Heartbeat,
    { index, deleted }: { index: RepositoryIndex; deleted: ReadonlySet<string> },
  ) {
    this.context = context
    this.sid = sid
    this.index = index
    this.readable = index.forReading(key => deleted.has(key))
    this.#heartbeat = heartbeat
    this.#publisher = new SegmentPublisher(context, sid, index)
    const { keys } = context
    const suite = suiteByName(keys.suite).id
    const dataKey = createDataKey()
    const domain = new Uint8Array(randomBytes(16))
    const envelope = keys.sealDataKey(dataKey, domain)
    const { generation, packList, signingSeed } = keys
    const common = { suite, generation, sid, listKey: packList, signingSeed }
    this.#dataSeal = { ...common, type: 'dataPack', domainKey: dataKey, domain, envelope }
    this.#mapSeal = {
      ...common,
      type: 'mapPack',
      domainKey: keys.mapKey(keys.generation),
      domain: new Uint8Array(16),
      envelope: new Uint8Array(0),
    }
  }

  /** Announces a session, and only then reads tombs and index: what it may refer to. */
  static async begin(context: RepositoryContext, options: AbortOptions = {}): Promise<WriterSession> {
    const sid = createSessionId()
    const heartbeat = await announceSession(context, sid, options)
    try {
      const { excludedForWriters, deleted } = await readGcState(context, options)
      const isTrusted = await readPackTrust(context, options)
      const index = await RepositoryIndex.load(
        context.backend,
        context.keys,
        {
          isExcluded: key => excludedForWriters.has(key),
          isTrusted,
          findsUntrusted: false,
          onDamage: 'skip',
          isCommitted: async committed => (await readDecision(context, committed))?.kind === 'manifest',
          ...(context.indexCacheBytes === undefined ? {} : { cacheBytes: context.indexCacheBytes }),
        },
        options,
      )
      const session = new WriterSession(context, sid, heartbeat, { index, deleted })
      await session.#adopt({ excluded: excludedForWriters, isTrusted }, options)
      await sweepTemporaries(context, options)
      return session
    } catch (error) {
      await heartbeat[Symbol.asyncDispose]()
      await fence(context, sid).catch(() => undefined)
      throw error
    }
  }

  /** Takes over packs that no segment names: of sessions that died, or have not published yet. */
  async #adopt(
    { excluded, isTrusted }: { readonly excluded: ReadonlySet<string>; readonly isTrusted: PackTrust },
    options: AbortOptions,
  ): Promise<void> {
    const named = await this.index.namedPacks(options)
    for (const sid of await listSessions(this.context, options)) {
      if (sid === this.sid || (await readDecision(this.context, sid, options))?.kind === 'manifest') continue
      for await (const { key, sizeBytes } of this.context.backend.list(`packs/${sid}-`, options)) {
        const pack = packOfKey(key)
        if (pack === undefined || named.has(key) || excluded.has(key)) continue
        await this.#adoptPack(pack, { sizeBytes, isTrusted, ...options })
      }
    }
  }

  async #adoptPack(
    name: PackName,
    { sizeBytes, isTrusted, signal }: AbortOptions & { readonly sizeBytes: number; readonly isTrusted: PackTrust },
  ): Promise<void> {
    try {
      const pack = await openPack(this.context.backend, this.context.keys, packKey(name), { sizeBytes, signal })
      if (!isTrusted(pack)) return
      for (const entry of pack.entries) this.#claimed[pack.type].add(keyOfId(entry.id))
      this.#publisher.add({ ...name, uid: pack.uid, type: pack.type, ids: pack.entries.map(entry => entry.id) })
    } catch (error) {
      if (!isGranaryError(error)) throw error // A pack that can't be read is no use; `check` reports it.
    }
  }

  /** A segment name never used before. */
  nextSegment(): string {
    return this.#publisher.nextKey()
  }

  /** What seals this session's packs of a type. */
  sealOf(type: PackType): PackSeal {
    return type === 'dataPack' ? this.#dataSeal : this.#mapSeal
  }

  /**
   * Whether a blob is stored; if not, the caller must store it now, since everybody after it is told it is.
   * Nothing that rests on that is committed before every claimed blob is durable.
   */
  async claim(id: Bytes, type: PackType, options: AbortOptions = {}): Promise<Knowledge> {
    const name = keyOfId(id)
    const claimed = this.#claimed[type]
    if (claimed.has(name)) return 'stored'
    if (await this.isStored(id, type, options)) return 'stored'
    if (claimed.has(name)) return 'stored' // Claimed by another worker while the index was read.
    claimed.add(name)
    return 'unknown'
  }

  /**
   * Whether an earlier session stored a blob where it can be relied on. One that is only in packs that are damaged is stored
   * again: that heals the snapshots that need it, too.
   */
  async isStored(id: Bytes, type: PackType, options: AbortOptions = {}): Promise<boolean> {
    try {
      return (await this.index.find(id, type, options)) !== undefined
    } catch (error) {
      if (!isDamage(error)) throw error
      return false
    }
  }

  /** Where a blob of an earlier session is: for copies out of half-dead packs. */
  async find(id: Bytes, type: PackType, options: AbortOptions = {}): Promise<FoundBlob | undefined> {
    return await this.index.find(id, type, options)
  }

  /** A pack is stored: its blobs may go into the next index segment, which is published when it is due. */
  async packStored(
    name: PackName,
    type: PackType,
    uid: Bytes,
    ids: readonly Bytes[],
    options: AbortOptions = {},
  ): Promise<void> {
    this.#publisher.add({ ...name, uid, type, ids })
    await this.#heartbeat.beat()
    if (this.#publisher.isDue()) await this.publish(options)
  }

  /** Publishes an index segment of the packs that are in none yet. */
  async publish(options: AbortOptions = {}): Promise<void> {
    for (const { type, id } of await this.#publisher.publish(options)) this.#claimed[type].delete(keyOfId(id))
  }

  /** Publishes what is left and commits. @returns the hash of the sealed manifest, and who signed it */
  async commit(
    manifest: Manifest,
    options: AbortOptions = {},
  ): Promise<{ readonly hash: string; readonly signer: string }> {
    if (this.#isDecided) throw new GranaryError('GRANARY_INVALID_ARGUMENT', `session ${this.sid} is decided`)
    await this.#publisher.publish(options)
    await this.context.backend.sync(options) // Nothing a manifest refers to may come undone after it.
    const { hash, signer } = await commit(this.context, this.sid, manifest, options)
    this.#isDecided = true
    return { hash, signer }
  }

  /**
   * Ends the session. Uncommitted, it is fenced where the storage lets us, so that no collection waits for it; what it stored
   * is taken over by the next session, or collected.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#heartbeat[Symbol.asyncDispose]()
    if (this.#isDecided) await withdrawSession(this.context, this.sid).catch(() => undefined)
    else await fence(this.context, this.sid).catch(() => undefined)
  }
}
