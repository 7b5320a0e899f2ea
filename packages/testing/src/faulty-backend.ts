/** A backend that misbehaves as planned. @module */
import { setTimeout } from 'node:timers/promises'
import { GranaryError } from '@granary/core'
import type { AbortOptions, Bytes, ErrorCode } from '@granary/core'
import type { Backend, GetOptions, ObjectInfo, PutOptions, PutSource } from '@granary/dedup-store'
import type { Clock } from './clock.ts'
import type { BackendCall, BackendOperation, Fault, FaultPlan } from './faults.ts'

/** A storage that several parties use, each with faults of its own; what is late for one happens in front of all. */
export interface FaultyStorage {
  open(plan: FaultPlan): Backend
}

export interface FaultyBackendOptions {
  /** What slow calls wait by. @default real time */
  readonly clock?: Pick<Clock, 'sleep'>
}

const realTime: Pick<Clock, 'sleep'> = {
  sleep: async (ms, signal) => {
    try {
      await setTimeout(ms, undefined, signal ? { signal } : {})
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  },
}

/** `backend` as it is, with faults. */
export const faultyBackend = (backend: Backend, plan: FaultPlan, options: FaultyBackendOptions = {}): Backend =>
  faultyStorage(backend, options).open(plan)

export const faultyStorage = (backend: Backend, { clock = realTime }: FaultyBackendOptions = {}): FaultyStorage => {
  const storage: Storage = { backend, clock, calls: 0, late: [], stored: [] }
  return { open: plan => openFaulty(storage, plan) }
}

interface LatePut {
  readonly dueAt: number
  readonly key: string
  readonly content: Bytes
  readonly options: PutOptions
}

interface Storage {
  readonly backend: Backend
  readonly clock: Pick<Clock, 'sleep'>
  calls: number
  late: LatePut[]
  /** Keys in the order they were stored. */
  readonly stored: string[]
}

const openFaulty = (storage: Storage, plan: FaultPlan): Backend => {
  const { backend } = storage
  let number = 0
  /** Lets happen what is due, asks the plan, and deals with the faults that every operation may have. */
  const begin = async (
    operation: BackendOperation,
    key: string,
    { signal, ifAbsent = false }: PutOptions = {},
  ): Promise<Fault | undefined> => {
    signal?.throwIfAborted()
    const call: BackendCall = { operation, key, ifAbsent, number: number++ }
    await settle(storage)
    const fault = plan(call)
    if (fault === undefined) return undefined
    checkApplies(fault, call)
    if (fault.kind === 'slow') await storage.clock.sleep(fault.ms, signal)
    if (fault.kind === 'failure' && operation !== 'list') throw injected(fault.code, call)
    return fault
  }
  return {
    location: backend.location,
    ...optionalParts(backend),
    put: async (key: string, source: PutSource, options: PutOptions = {}) => {
      const fault = await begin('put', key, options)
      return await putWith(storage, fault, key, source, options)
    },
    get: async (key: string, options: GetOptions = {}) => {
      const fault = await begin('get', key, options)
      const bytes = await backend.get(key, options)
      if (fault?.kind === 'flipped-bit' && bytes.length > 0) flipBit(bytes, fault.bit)
      return bytes
    },
    stat: async (key: string, options: AbortOptions = {}) => {
      await begin('stat', key, options)
      return await backend.stat(key, options)
    },
    list: (prefix: string, options: AbortOptions = {}) =>
      listWith(storage, () => begin('list', prefix, options), prefix, options),
    delete: async (key: string, options: AbortOptions = {}) => {
      const fault = await begin('delete', key, options)
      await backend.delete(key, options)
      if (fault?.kind === 'lost-answer') throw lostAnswer('delete', key)
    },
    sync: async (options: AbortOptions = {}) => {
      await begin('sync', '', options)
      await backend.sync(options)
    },
    [Symbol.asyncDispose]: async () => await backend[Symbol.asyncDispose](),
  }
}

/** What only some backends have, without faults. */
const optionalParts = (backend: Backend): Partial<Backend> => ({
  ...(backend.probe && { probe: async options => await backend.probe?.(options) }),
  ...(backend.hold &&
    backend.isHeld && {
      hold: async name => await backend.hold!(name),
      isHeld: async name => await backend.isHeld!(name),
    }),
  ...(backend.sweep && { sweep: async (isAlive, options) => await backend.sweep!(isAlive, options) }),
})

const APPLIES: Readonly<Record<Fault['kind'], readonly BackendOperation[]>> = {
  failure: ['put', 'get', 'stat', 'list', 'delete', 'sync'],
  slow: ['put', 'get', 'stat', 'list', 'delete', 'sync'],
  'lost-answer': ['put', 'delete'],
  late: ['put'],
  duplicate: ['put'],
  torn: ['put'],
  'flipped-bit': ['get'],
  stale: ['list'],
}

const checkApplies = ({ kind }: Fault, { operation }: BackendCall): void => {
  if (!APPLIES[kind].includes(operation)) throw new RangeError(`the fault ${kind} does not apply to ${operation}`)
}

/** Carries out late puts whose time has come, as often as the storage is called. */
const settle = async (storage: Storage): Promise<void> => {
  storage.calls++
  const due = storage.late.filter(({ dueAt }) => dueAt <= storage.calls)
  if (due.length === 0) return
  storage.late = storage.late.filter(({ dueAt }) => dueAt > storage.calls)
  for (const { key, content, options } of due) await store(storage, key, content, options)
}

const store = async (
  storage: Storage,
  key: string,
  source: PutSource,
  options: PutOptions,
): Promise<'stored' | 'exists'> => {
  const result = await storage.backend.put(key, source, options)
  if (result === 'stored') storage.stored.push(key)
  return result
}

const putWith = async (
  storage: Storage,
  fault: Fault | undefined,
  key: string,
  source: PutSource,
  options: PutOptions,
): Promise<'stored' | 'exists'> => {
  const { signal, ...later } = options
  if (fault === undefined) return await store(storage, key, source, options)
  if (fault.kind === 'torn' || fault.kind === 'lost-answer') {
    const content = await gather(source, { signal })
    await store(storage, key, fault.kind === 'torn' ? content.subarray(0, fault.keepBytes) : content, options)
    throw lostAnswer('put', key)
  }
  if (fault.kind !== 'late' && fault.kind !== 'duplicate') return await store(storage, key, source, options)
  const content = await gather(source, { signal })
  const again: LatePut = { dueAt: storage.calls + fault.calls, key, content, options: later }
  if (fault.kind === 'late') {
    storage.late.push(again)
    throw lostAnswer('put', key)
  }
  const result = await store(storage, key, content, options)
  if (fault.calls === 0) return await store(storage, key, content, options)
  storage.late.push(again)
  return result
}

async function* listWith(
  storage: Storage,
  begin: () => Promise<Fault | undefined>,
  prefix: string,
  options: AbortOptions,
): AsyncGenerator<ObjectInfo, void, void> {
  const fault = await begin()
  const missed = new Set(fault?.kind === 'stale' ? newest(storage, prefix, fault.objects) : [])
  let shown = 0
  for await (const object of storage.backend.list(prefix, options)) {
    if (missed.has(object.key)) continue
    if (fault?.kind === 'failure' && shown++ >= (fault.afterObjects ?? 0)) break
    yield object
  }
  if (fault?.kind === 'failure') throw injected(fault.code, { operation: 'list', key: prefix })
}

const newest = (storage: Storage, prefix: string, count: number): string[] =>
  [...new Set(storage.stored.filter(key => key.startsWith(prefix)).toReversed())].slice(0, count)

const flipBit = (bytes: Bytes, bit: number): void => {
  const at = bit % (bytes.length * 8)
  bytes[at >> 3] = (bytes[at >> 3] as number) ^ (1 << (at & 7))
}

/** All bytes of a source, copied. */
export const gather = async (source: PutSource, { signal }: AbortOptions = {}): Promise<Bytes> => {
  if (source instanceof Uint8Array) return new Uint8Array(source)
  const copied: Bytes[] = []
  for await (const piece of source) {
    signal?.throwIfAborted()
    copied.push(new Uint8Array(piece))
  }
  return new Uint8Array(Buffer.concat(copied))
}

const injected = (code: ErrorCode, { operation, key }: Pick<BackendCall, 'operation' | 'key'>): GranaryError =>
  new GranaryError(code, `injected failure of ${operation} ${key}`, { detail: { operation, key } })

const lostAnswer = (operation: string, key: string): GranaryError =>
  new GranaryError('GRANARY_IO', `the answer to ${operation} ${key} was lost`, {
    detail: { operation, key },
    retryable: true,
  })
