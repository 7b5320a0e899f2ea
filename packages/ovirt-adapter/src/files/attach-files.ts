/** Puts files into a machine's CD drive, as an image of their own. @module */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { GranaryError, isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { changeCdrom } from '../engine/resources/cdroms.ts'
import type { JournalEntry } from '../journal/journal.ts'
import { chooseTarget } from './choose-target.ts'
import type { FilesChoices, FilesTarget } from './choose-target.ts'
import type { FilesContext, FilesImage } from './context.ts'
import { takeOut } from './eject-files.ts'
import { copyDisc, makeDisc } from './make-disc.ts'
import { FILES_KIND, readFilesState } from './state.ts'
import type { AttachedFiles } from './state.ts'

export interface AttachResult {
  readonly files: AttachedFiles
  readonly warnings: readonly string[]
}

/**
 * Puts the image into the drive: at once where the machine runs, else for its next start. It stays there, and in the
 * journal, until `ejectFiles`. What breaks is put away at once, or by the next start.
 *
 * @throws GranaryError before anything is made, when the machine, the domain or the drive are not fit; what engine and
 * imageio say
 */
export const attachFiles = async (
  context: FilesContext,
  image: FilesImage,
  choices: FilesChoices,
  { signal }: AbortOptions = {},
): Promise<AttachResult> => {
  const { engine, journal } = context
  const { sizeBytes } = image
  const root = context.mountRoot === undefined ? {} : { mountRoot: context.mountRoot }
  const target = await chooseTarget(engine, choices, { sizeBytes, ...root, signal })
  const entry = await journal.begin(FILES_KIND, engine.base, factsOf(target))
  try {
    await makeDiscOf(context, entry, image, target, { signal })
    return await attach(context, entry, target, choices, { signal })
  } catch (error) {
    await takeBack(context, entry, error)
    throw error
  }
}

const factsOf = ({ vm, domain, folder, previousCurrent = '', previousStored = '' }: FilesTarget) => {
  const uuid = randomUUID()
  const id = uuid.slice(0, 8)
  const name = `granary-${id}.iso`
  const disc = folder === undefined ? { disc: uuid } : { disc: name, path: join(folder, name) }
  return { id, vm: vm.id, vmName: vm.name, storageDomain: domain.name, ...disc, previousCurrent, previousStored }
}

const makeDiscOf = async (
  context: FilesContext,
  entry: JournalEntry,
  image: FilesImage,
  { domain }: FilesTarget,
  { signal }: AbortOptions,
): Promise<void> => {
  const {
    files: { id, disc },
    path,
  } = readFilesState(entry.pending)
  if (path !== undefined) return await copyDisc(context, image, { path, signal })
  await makeDisc(context, entry, image, { id: disc, alias: `granary-files-${id}`, storageDomainId: domain.id, signal })
}

const attach = async (
  { engine, onEvent }: FilesContext,
  entry: JournalEntry,
  { vm, isRunning }: FilesTarget,
  { ejectAfterMs }: FilesChoices,
  { signal }: AbortOptions,
): Promise<AttachResult> => {
  onEvent?.({ type: 'step', step: 'attach', what: vm.name })
  const { disc } = readFilesState(entry.pending).files
  await changeCdrom(engine, vm.id, disc, { isCurrent: isRunning, signal })
  const attachedMs = engine.clock.now()
  await entry.learn({
    attached: true,
    current: isRunning,
    attachedMs,
    ...(ejectAfterMs === undefined ? {} : { ejectAtMs: attachedMs + ejectAfterMs }),
  })
  const warnings = isRunning
    ? []
    : [`"${vm.name}" is ${vm.status}: the files are in its drive from its next start on, until they are ejected`]
  return { files: readFilesState(entry.pending).files, warnings }
}

/** What can't be put away now stays in the journal: the next start tries again. The first failure is the one to tell. */
const takeBack = async ({ engine }: FilesContext, entry: JournalEntry, error: unknown): Promise<void> => {
  try {
    await takeOut(engine, entry)
    await entry.end()
  } catch (cause) {
    if (!isGranaryError(cause))
      throw new GranaryError('GRANARY_IO', 'what was made could not be put away', { cause: error })
  }
}
