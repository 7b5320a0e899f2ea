/** A backend, and a file system, whose every operation is a step of an actor. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type {
  Backend,
  FileSystemPort,
  GetOptions,
  ObjectInfo,
  OpenFile,
  PutOptions,
  PutSource,
} from '@granary/dedup-store'
import { gather } from './faulty-backend.ts'
import type { Actor } from './scheduler.ts'

/** Who holds what on a storage: locks that end with their actor, as those of local files end with their process. */
export type Holds = Map<string, Actor>

export interface ScheduledBackendOptions {
  /** Objects that a listing shows at once; between them others may act. @default 4 */
  readonly pageObjects?: number
  /** Shared by all actors on the storage; gives `hold` and `isHeld`. @default what the backend itself can tell */
  readonly holds?: Holds
}

/** `backend` as `actor` uses it. What a `put` stores is gathered before its step, since its source may need steps itself. */
export const scheduledBackend = (
  actor: Actor,
  backend: Backend,
  { pageObjects = 4, holds }: ScheduledBackendOptions = {},
): Backend => ({
  location: backend.location,
  put: async (key: string, source: PutSource, options: PutOptions = {}) => {
    const content = await gather(source, options)
    const kind = options.ifAbsent === true ? 'put if absent' : 'put'
    return await actor.step(`${kind} ${key}`, async () => await backend.put(key, content, options))
  },
  get: async (key: string, options: GetOptions = {}) =>
    await actor.step(`get ${key}`, async () => await backend.get(key, options)),
  stat: async (key: string, options: AbortOptions = {}) =>
    await actor.step(`stat ${key}`, async () => await backend.stat(key, options)),
  list: (prefix: string, options: AbortOptions = {}) => listInPages(actor, backend, prefix, options, pageObjects),
  delete: async (key: string, options: AbortOptions = {}) =>
    await actor.step(`delete ${key}`, async () => await backend.delete(key, options)),
  sync: async (options: AbortOptions = {}) => await actor.step('sync', async () => await backend.sync(options)),
  ...(holds === undefined ? ownHolds(actor, backend) : holding(actor, holds)),
  [Symbol.asyncDispose]: async () => undefined,
})

/** A long listing is no instant: each page shows what is there when it is read, after the last key shown. */
async function* listInPages(
  actor: Actor,
  backend: Backend,
  prefix: string,
  options: AbortOptions,
  pageObjects: number,
): AsyncGenerator<ObjectInfo, void, void> {
  let last = ''
  for (;;) {
    const page = await actor.step(`list ${prefix}${last === '' ? '' : ` after ${last}`}`, async () => {
      const objects: ObjectInfo[] = []
      for await (const object of backend.list(prefix, options)) {
        if (object.key <= last) continue
        objects.push(object)
        if (objects.length === pageObjects) break
      }
      return objects
    })
    yield* page
    const end = page.at(-1)
    if (end === undefined || page.length < pageObjects) return
    last = end.key
  }
}

const holding = (actor: Actor, holds: Holds): Required<Pick<Backend, 'hold' | 'isHeld'>> => ({
  hold: async name =>
    await actor.step(`hold ${name}`, async () => {
      if (holds.get(name)?.isAlive === true)
        throw new GranaryError('GRANARY_LOCKED', `${name} is held`, { detail: { name } })
      holds.set(name, actor)
      return {
        [Symbol.asyncDispose]: async () => {
          await actor.step(`release ${name}`, async () => {
            if (holds.get(name) === actor) holds.delete(name)
          })
        },
      }
    }),
  isHeld: async name => await actor.step(`is ${name} held`, async () => holds.get(name)?.isAlive),
})

const ownHolds = (actor: Actor, backend: Backend): Pick<Backend, 'hold' | 'isHeld'> => ({
  ...(backend.hold && {
    hold: async name => await actor.step(`hold ${name}`, async () => await backend.hold!(name)),
  }),
  ...(backend.isHeld && {
    isHeld: async name => await actor.step(`is ${name} held`, async () => await backend.isHeld!(name)),
  }),
})

/** `fs` as `actor` uses it: finer steps than those of a backend, for code that runs on one. */
export const scheduledFileSystem = (actor: Actor, fs: FileSystemPort): FileSystemPort => {
  const step = async <Result>(what: string, work: () => Promise<Result>): Promise<Result> =>
    await actor.step(what, work)
  const wrap = (path: string, file: OpenFile): OpenFile => ({
    write: async (bytes, offset) => await step(`write ${path}`, async () => await file.write(bytes, offset)),
    read: async (target, offset) => await step(`read ${path}`, async () => await file.read(target, offset)),
    stat: async () => await file.stat(),
    sync: async () => await step(`fsync ${path}`, async () => await file.sync()),
    close: async () => await file.close(),
  })
  return {
    create: async path => wrap(path, await step(`create ${path}`, async () => await fs.create(path))),
    open: async path => wrap(path, await step(`open ${path}`, async () => await fs.open(path))),
    rename: async (path, target) => await step(`rename ${path} ${target}`, async () => await fs.rename(path, target)),
    link: async (path, target) => await step(`link ${path} ${target}`, async () => await fs.link(path, target)),
    unlink: async path => await step(`unlink ${path}`, async () => await fs.unlink(path)),
    createFolder: async path => await step(`mkdir ${path}`, async () => await fs.createFolder(path)),
    syncFolder: async path => await step(`fsync ${path}/`, async () => await fs.syncFolder(path)),
    readFolder: async path => await step(`readdir ${path}`, async () => await fs.readFolder(path)),
    stat: async path => await step(`stat ${path}`, async () => await fs.stat(path)),
    lock: async path => await step(`lock ${path}`, async () => await fs.lock(path)),
    isLocked: async path => await step(`is ${path} locked`, async () => await fs.isLocked(path)),
  }
}
