/** The real qemu-img, for judging what we write. @module */
import { execFileSync, spawnSync } from 'node:child_process'

const found = spawnSync('qemu-img', ['--version'])

/** Why comparisons with QEMU cannot run here; false when they can. */
export const noQemu = found.status === 0 ? false : 'qemu-img is not on this machine'

export const qemuImg = (...args: readonly string[]): string => execFileSync('qemu-img', args, { encoding: 'utf8' })

export interface QemuCheck {
  readonly errors: number
  readonly leaks: number
}

/** What `qemu-img check` counts. */
export const qemuCheck = (path: string): QemuCheck => {
  const { stdout, stderr } = spawnSync('qemu-img', ['check', '-f', 'qcow2', '--output=json', path], {
    encoding: 'utf8',
  })
  if (!stdout.startsWith('{')) throw new Error(stderr)
  const report = JSON.parse(stdout) as { corruptions?: number; leaks?: number; 'check-errors': number }
  return { errors: (report.corruptions ?? 0) + report['check-errors'], leaks: report.leaks ?? 0 }
}
