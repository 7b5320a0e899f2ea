/** Worlds on local files, of which a power cut after any change leaves any of the legal outcomes. */
import { crashFileSystem, scheduledFileSystem } from '@granary/testing/simulation'
import type { CrashFileSystem, CrashProcess } from '@granary/testing/simulation'
import { FULL_PROTOCOL } from '../../src/gc/protocol.ts'
import { fileBackend } from '../../src/index.ts'
import type { FileSystemPort } from '../../src/index.ts'
import type { History } from './history.ts'
import { recording } from './recorded-storage.ts'
import type { Change } from './recorded-storage.ts'
import { verifyRecovery } from './verify.ts'
import { expectedAt, explore } from './world.ts'
import type { Explored, Stage } from './world.ts'

const ROOT = '/repository'

export interface PowerCuts {
  readonly wrong: string[]
  readonly cuts: number
  readonly explored: Explored
}

const createFiles = async (history: History): Promise<CrashFileSystem> => {
  const fs = crashFileSystem()
  await fs.createFolder(ROOT)
  const backend = fileBackend(ROOT, { fs })
  for (const { key, bytes } of history.objects) if (bytes !== undefined) await backend.put(key, bytes)
  return fs.crashAt(fs.operations.length, 1)
}

/** Each actor is a process of its own on one file system, every call to which is a step. */
const fileStage = (fs: CrashFileSystem): Stage => {
  const changes: Change[] = []
  const processes = new Map<string, CrashProcess>()
  return {
    changes,
    position: () => fs.operations.length,
    open: actor => {
      const process = fs.process()
      processes.set(actor.name, process)
      return recording(fileBackend(ROOT, { fs: scheduledFileSystem(actor, process) }), actor.name, changes)
    },
    bury: name => processes.get(name)?.kill(),
  }
}

/** @param options how many changes of the world are cut after (Infinity: all), and how many outcomes of each are looked at */
export const explorePowerCuts = async (
  history: History,
  { seed, cuts: wanted, outcomes }: { seed: number; cuts: number; outcomes: number },
): Promise<PowerCuts> => {
  const fs = await createFiles(history)
  const explored = await explore({ seed, history, protocol: FULL_PROTOCOL, stage: fileStage(fs) })
  const wrong = [...explored.wrong]
  const end = fs.operations.length
  const stride = Math.max(1, Math.floor(end / wanted))
  let cuts = 0
  for (let at = seed % stride; at <= end && wrong.length === 0; at += stride) {
    for (let outcome = 0; outcome < outcomes; outcome++) {
      cuts++
      // The first outcomes are the corners; elsewhere any.
      const choice = outcomes > 1 ? outcome : (seed + cuts) % 12
      const left = fs.crashAt(at, choice)
      const backend = fileBackend(ROOT, { fs: left })
      const found = await verifyRecovery(backend, expectedAt(history, explored, at), explored.run.endMs)
      found.push(...(await temporaries(left, ROOT)).map(path => `left over: ${path}`))
      wrong.push(...found.map(text => `power cut after ${at}, outcome ${choice}: ${text}`))
    }
  }
  return { wrong, cuts, explored }
}

/** Temporary files, and locks, that a collection did not clean up. */
const temporaries = async (fs: FileSystemPort, folder: string): Promise<string[]> => {
  const found: string[] = []
  for (const { name, kind } of await fs.readFolder(folder)) {
    const path = `${folder}/${name}`
    if (kind === 'folder') found.push(...(await temporaries(fs, path)))
    else if (name.startsWith('.tmp-') || folder.endsWith('/.locks')) found.push(path)
  }
  return found
}
