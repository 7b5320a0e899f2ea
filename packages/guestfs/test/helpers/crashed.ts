/** File systems as a crash leaves them, with a log of what was synced, and what the kernel makes of it. @module */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { projectPath } from '@granary/testing'
import { inOwnNamespace, makeImage } from './fresh.ts'
import type { Kind } from './fresh.ts'
import type { ManifestEntry, ManifestVolume } from './manifest.ts'

export interface CrashedFileSystem extends AsyncDisposable {
  /** Not replayed. */
  readonly path: string
  /** After the replay of the kernel. */
  readonly volume: ManifestVolume
}

export interface CrashOptions {
  readonly seed: number
  /** Changes before the last commit, and after it. */
  readonly steps: number
  /** The view is of the last commit, by an option of the mount that leaves the log alone. */
  readonly withoutLog?: string
}

const helper = (name: string): string => projectPath('packages', 'guestfs', 'test', 'helpers', name)

/**
 * A file system is filled and committed; what follows is only synced file by file. It is copied while still mounted, and
 * a copy of the copy is mounted, which replays the log.
 */
export const crashedFileSystem = async (
  kind: Kind,
  { seed, steps, withoutLog }: CrashOptions,
): Promise<CrashedFileSystem> => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-guestfs-'))
  const path = join(folder, 'image')
  const top = join(folder, 'top')
  mkdirSync(top)
  makeImage(kind, seed, path)
  const commands = [
    'mount "$@" "$IMAGE" "$TOP"',
    ...(kind.name === 'btrfs' ? ['btrfs -q subvolume create "$TOP/sub"'] : []),
    `python3 -IS "$CHANGES" base "$TOP" ${seed} ${steps}`,
    'sync -f "$TOP"',
    `python3 -IS "$CHANGES" change "$TOP" ${seed} ${steps}`,
    'cp --sparse=always "$IMAGE" "$IMAGE.crashed"',
    'umount "$TOP"',
    'cp --sparse=always "$IMAGE.crashed" "$IMAGE"',
    'date +%s',
    ...(withoutLog === undefined
      ? [
          'mount "$@" "$IMAGE" "$TOP"',
          'umount "$TOP"',
          // Shown mounted anew: what the replay left in memory counts as data, reserved or not.
          'mount -r "$@" "$IMAGE" "$TOP"',
        ]
      : [`mount -r -o ${withoutLog} "$@" "$IMAGE" "$TOP"`]),
    'python3 -IS "$VIEW" show "$TOP"',
    'umount "$TOP"',
  ]
  const variables = { IMAGE: path, TOP: top, CHANGES: helper('synced-changes.py'), VIEW: helper('kernel-view.py') }
  const [seconds = '', view = ''] = inOwnNamespace(commands, variables, kind.mount ?? []).split('\n')
  const entries = JSON.parse(view) as ManifestEntry[]
  const madeUpFrom = BigInt(seconds) * 1_000_000_000n
  return {
    path: `${path}.crashed`,
    volume: { id: kind.name, fs: kind.name, expect: 'read', source: { whole_disk: true }, entries, madeUpFrom },
    async [Symbol.asyncDispose]() {
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
