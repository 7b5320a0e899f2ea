/**
 * The contract every storage of a repository keeps: a flat space of immutable-by-convention objects under plain keys.
 * What only some storages can do is optional; the repository's safety never rests on an optional part.
 *
 * @module
 */
import type { AbortOptions, Bytes } from '@granary/core'

/** What a backend knows of an object without reading it. */
export interface ObjectInfo {
  readonly key: string
  readonly sizeBytes: number
}

/** Content of a `put`: one piece, or pieces that are streamed. A piece may be reused by its owner once the next one is asked for. */
export type PutSource = Bytes | Iterable<Bytes> | AsyncIterable<Bytes>

/** How an object is stored. */
export interface PutOptions extends AbortOptions {
  /**
   * For decision keys (`commit/…`, `gc/…`): never replaces; resolves `exists` when the key is there.
   * Of any number of concurrent calls, by any number of processes, exactly one resolves `stored`, and all others see its
   * content from then on. Always durable, whatever `durable` says; also for whoever resolves `exists`.
   * @default false
   */
  readonly ifAbsent?: boolean
  /** Id of the session that writes, `[a-z0-9-]{0,64}`: carried in temporary names, so that `sweep` can tell whose they are. @default '' */
  readonly owner?: string
  /** False: the object is visible and complete, but may vanish as a whole in a power cut until the next `sync()`. @default true */
  readonly durable?: boolean
}

/** A part of an object, in bytes. */
export interface GetOptions extends AbortOptions {
  /** @default 0 */
  readonly offset?: number
  /** @default up to the object's end */
  readonly length?: number
}

/**
 * A storage of objects.
 *
 * - Keys are `[a-z0-9./-]`, 1 to 200 characters, in segments between `/` that are not empty and do not begin with a dot;
 *   anything else must be refused with GRANARY_INVALID_ARGUMENT before the storage is touched. No key may be another key followed by `/…`.
 * - An object must appear under its key whole or not at all, to every reader, at every instant, also after a power cut.
 * - A failed or aborted `put` must leave what was there before, and nothing half-written once it has rejected. (If the answer of the
 *   storage was lost, the object may be there, whole.)
 * - Bytes given may be changed by the caller once `put` has resolved; bytes got belong to the caller. Views on shared memory are welcome.
 * - Failures of the storage are GranaryErrors: GRANARY_NO_SPACE, GRANARY_PERMISSION, GRANARY_IO, with the storage's own error as cause;
 *   errors of a source and reasons of an abort pass through untouched.
 */
export interface Backend extends AsyncDisposable {
  /** For messages; never with credentials. */
  readonly location: string

  /**
   * Called once, when a repository is made: makes the place itself (a folder) where it is missing, and refuses a storage that does
   * not keep this contract, with the reason. Leaves nothing else behind.
   * @throws GranaryError GRANARY_UNSUPPORTED when the storage cannot keep it
   */
  probe?(options?: AbortOptions): Promise<void>

  /**
   * Stores an object, replacing an older one of that key unless `ifAbsent`. The source is read to its end exactly once, or,
   * when the object already exists, possibly not at all; once begun, its iterator is always closed.
   * @throws GranaryError GRANARY_INVALID_ARGUMENT when the key or owner is not well-formed
   */
  put(key: string, source: PutSource, options?: PutOptions): Promise<'stored' | 'exists'>

  /**
   * Reads an object or a part of it.
   * @throws GranaryError GRANARY_NOT_FOUND when there is no such object
   * @throws GranaryError GRANARY_CORRUPT when the range passes the object's end (it is truncated)
   */
  get(key: string, options?: GetOptions): Promise<Bytes>

  /** Undefined when there is no such object. */
  stat(key: string, options?: AbortOptions): Promise<ObjectInfo | undefined>

  /**
   * All objects whose key begins with `prefix` (any string a key may begin with, also empty), ascending by key (code units), complete ones
   * only. What was stored before the call and not deleted must be shown; what is stored or deleted meanwhile may be.
   */
  list(prefix: string, options?: AbortOptions): AsyncIterable<ObjectInfo>

  /** Removes an object; resolves when there was none. May come undone in a power cut until the next `sync()`. */
  delete(key: string, options?: AbortOptions): Promise<void>

  /**
   * Barrier. Once it resolves, a power cut can no longer undo what this backend has put, deleted, **or shown** (by get, stat, list,
   * whoever wrote it) before the call. Whoever acts on another's object (deletes packs because of a `forget`, refers to a pack
   * found in a listing) must call it in between.
   */
  sync(options?: AbortOptions): Promise<void>

  /**
   * Tells other processes on this storage that `name` (as `owner`, not empty) lives, until disposed or the process ends, however it ends.
   * @throws GranaryError GRANARY_LOCKED when somebody else holds it
   */
  hold?(name: string): Promise<AsyncDisposable>

  /** True: lives. False: its holder is certainly dead. Undefined: the storage cannot tell (never held, or by another machine). */
  isHeld?(name: string): Promise<boolean | undefined>

  /**
   * Removes temporary files whose owner (`''`: written without one) is not alive, i.e. decided or dead.
   * @returns how many were removed
   */
  sweep?(isAlive: (owner: string) => Promise<boolean>, options?: AbortOptions): Promise<number>

  /** Where an object is, or would be, as a file of this machine; objects are immutable, so any thread may read it there. */
  pathOf?(key: string): string
}
