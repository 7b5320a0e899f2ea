/** ISO images of files of guests. @module */
import { GranaryError, formatBytes, formatDuration } from '@granary/core'
import { archiveEntry, createPartialOutput, isoEntriesOf, planIso, selectedItems } from '@granary/extract'
import type { ExtractStep, IsoEntry, IsoImage } from '@granary/extract'
import { isGiven, textOption } from '../command.ts'
import type { CommandResult, Invocation, OptionRow } from '../command.ts'
import { startProgress } from '../terminal/progress-line.ts'
import { displayName } from '../terminal/display-name.ts'
import type { GuestAddress } from './guest-address.ts'
import { openSelections } from './selections.ts'
import { warnOfFile } from './warn-of-file.ts'

const CONTENTS = ['files', 'tar', 'both'] as const

export const ISO_CONTENT_OPTION: OptionRow = {
  flags: '--iso-content <WHAT>',
  description: 'into an ISO image: files (default), tar (one archive, which keeps attributes and every name), or both',
  values: CONTENTS,
}

export interface PlannedImage extends AsyncDisposable {
  readonly image: IsoImage
  /** Tells of what is not in it, once it is written. */
  tell(): void
}

/** Plans an image of what addresses choose; its trees are open until it is closed. */
export const planImage = async (invocation: Invocation, addresses: readonly GuestAddress[]): Promise<PlannedImage> => {
  const { signal } = invocation
  const content = contentOf(invocation)
  const chosen = await openSelections(invocation, addresses)
  try {
    const steps = (): AsyncIterable<ExtractStep> =>
      selectedItems(chosen.selections, { signal, snapshots: isGiven(invocation, 'snapshots') })
    const image = await planIso(entriesOf(invocation, content, steps), { volumeId: 'GRANARY', signal })
    return {
      image,
      tell: () => tell(invocation, image),
      [Symbol.asyncDispose]: () => chosen[Symbol.asyncDispose](),
    }
  } catch (error) {
    await chosen[Symbol.asyncDispose]()
    throw error
  }
}

async function* entriesOf(
  invocation: Invocation,
  content: (typeof CONTENTS)[number],
  steps: () => AsyncIterable<ExtractStep>,
): AsyncGenerator<IsoEntry, void, undefined> {
  const { signal } = invocation
  const onError = (path: string, error: unknown): void => warnOfFile(invocation, path, error)
  if (content !== 'tar') yield* isoEntriesOf(steps(), { onError, signal })
  if (content === 'files') return
  // With both, what fails is told of once.
  const options = content === 'tar' ? { onError } : {}
  yield await archiveEntry('granary.tar', steps, { ...options, timeNs: BigInt(Date.now()) * 1_000_000n, signal })
}

const contentOf = (invocation: Invocation): (typeof CONTENTS)[number] => {
  const text = textOption(invocation, 'isoContent') ?? 'files'
  const content = CONTENTS.find(one => one === text)
  if (content !== undefined) return content
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `--iso-content ${text} is none`, {
    hint: `choose one of: ${CONTENTS.join(', ')}`,
  })
}

const tell = (invocation: Invocation, { errors, changedNames }: IsoImage): void => {
  for (const { path, error } of errors) warnOfFile(invocation, path, error)
  if (changedNames > 0)
    invocation.terminal.notice(
      `${changedNames} names did not fit everywhere: GRANARY-NAMES.txt in the image lists them`,
    )
}

/** The target `F.iso` of `extract`. */
export const writeIso = async (
  invocation: Invocation,
  addresses: readonly GuestAddress[],
  target: string,
): CommandResult => {
  const { terminal, signal } = invocation
  const progress = startProgress(terminal)
  const startMs = performance.now()
  await using output = await createPartialOutput(target)
  await using planned = await planImage(invocation, addresses)
  const { image } = planned
  let doneBytes = 0
  try {
    for await (const bytes of image.write({ signal })) {
      await output.write(bytes)
      doneBytes += bytes.length
      progress.show({ what: displayName(target), doneBytes, totalBytes: image.sizeBytes })
    }
  } finally {
    progress.end()
  }
  await output.publish()
  planned.tell()
  const seconds = (performance.now() - startMs) / 1000
  const { files, directories, sizeBytes, errors, changedNames } = image
  const counts = { files: files - errors.length, folders: directories, sizeBytes, failed: errors.length, changedNames }
  terminal.emit({ type: 'iso', v: 1, target, ...counts, seconds: Number(seconds.toFixed(3)) })
  terminal.say(
    `${counts.files} files in ${directories} folders to ${target}: ${formatBytes(sizeBytes)}, in ${formatDuration(seconds)}` +
      (errors.length === 0 ? '' : `; ${errors.length} could not be read`),
  )
  return terminal.warnings > 0 ? 3 : 0
}
