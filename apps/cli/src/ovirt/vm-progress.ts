/** Progress of machines that are backed up side by side, as one line. @module */
import type { DiskProgress } from '@granary/dedup-store'
import type { BackupVmsOptions } from '@granary/ovirt-adapter'
import { startProgress } from '../terminal/progress-line.ts'
import type { Terminal } from '../terminal/terminal.ts'

export interface VmProgress {
  readonly handlers: Required<Pick<BackupVmsOptions, 'onProgress' | 'onStep'>>
  /** Prints above the line. */
  above(print: () => void): void
  end(): void
}

export const showVmProgress = (terminal: Terminal): VmProgress => {
  const line = startProgress(terminal)
  const disks = new Map<string, DiskProgress>()
  const sum = (field: 'doneBytes' | 'newBytes' | 'storedBytes'): number =>
    [...disks.values()].reduce((total, disk) => total + disk[field], 0)
  return {
    handlers: {
      onProgress(vm, progress) {
        disks.set(`${vm.id}/${progress.disk}`, progress)
        const totalBytes = [...disks.values()].reduce((total, disk) => total + (disk.totalBytes ?? 0), 0)
        line.show({
          what: `${vm.name}/${progress.disk}`,
          doneBytes: sum('doneBytes'),
          totalBytes,
          newBytes: sum('newBytes'),
          storedBytes: sum('storedBytes'),
          limitedBy: progress.limitedBy,
        })
      },
      onStep(vm, step) {
        if (terminal.isJson)
          terminal.streams.stderr.write(
            `${JSON.stringify({ type: 'step', v: 1, vm: { id: vm.id, name: vm.name }, step })}\n`,
          )
      },
    },
    above(print) {
      line.end()
      print()
    },
    end: () => line.end(),
  }
}
