import { formatBytes, formatDuration } from '@granary/core'
import { isGiven, textArgument } from '../command.ts'
import type { Command } from '../command.ts'
import { IMAGE_OPTIONS, imageOptionsOf } from '../disks/image-file.ts'
import { openSource } from '../disks/open-source.ts'
import { lazyRepository } from '../lazy-repository.ts'
import { TARGET_OPTIONS, compressionOf } from '../disks/target-options.ts'
import { COPY_TUNING, writeTarget } from '../disks/write-target.ts'
import { startProgress } from '../terminal/progress-line.ts'

export const copy: Command = {
  name: 'copy',
  summary: 'copy a disk, sparse as it is',
  arguments: [
    { name: '<DISK>', description: 'what to read, as for backup' },
    { name: '<TARGET>', description: 'raw:FILE, qcow2:FILE, a device, an NBD URI, or -' },
  ],
  options: [...TARGET_OPTIONS, ...IMAGE_OPTIONS],
  examples: [
    'granary copy web.qcow2 web.raw',
    'granary copy nbd://host/vda qcow2:vda.qcow2 --compression zstd',
    'granary copy granary:latest/db raw:/dev/vg/db --overwrite-different --repo /backup/repo',
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    await using repository = lazyRepository(invocation)
    const source = await openSource(textArgument(invocation, 0), {
      terminal,
      signal,
      openRepository: async () => await repository.open(),
      ...imageOptionsOf(invocation),
      tuning: COPY_TUNING,
    })
    await using disk = source.disk
    const progress = startProgress(terminal)
    const startMs = performance.now()
    const target = textArgument(invocation, 1)
    const counts = await writeTarget(disk, target, {
      terminal,
      signal,
      overwriteDifferent: isGiven(invocation, 'overwriteDifferent'),
      compression: compressionOf(invocation),
      sourceFiles: source.files,
      onProgress: ({ doneBytes, totalBytes, limitedBy }) =>
        progress.show({ what: source.name, doneBytes, totalBytes, limitedBy }),
    }).finally(() => progress.end())
    const code = terminal.warnings > 0 ? 3 : 0
    if (target === '-') return code
    const seconds = (performance.now() - startMs) / 1000
    terminal.emit({
      type: 'copied',
      v: 1,
      source: source.source,
      target,
      ...counts,
      seconds: Number(seconds.toFixed(3)),
    })
    terminal.say(
      `copied ${source.source} to ${target}: ${formatBytes(counts.writtenBytes)} written, in ${formatDuration(seconds)}`,
    )
    return code
  },
}
