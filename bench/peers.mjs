// The whole path against restic and borg: first full, unchanged, 2 % changed, a sibling, restore; each tool on the same
// disks, step by step in turns, so that a busy machine hurts all alike.
//
//   node bench/peers.mjs FOLDER [--json] [--rounds N]     FOLDER holds v1.raw, v2.raw, v3.raw
//
// Sizes are what the repository takes on disk. restic compresses with zstd (its default level), borg with zstd,3,
// granary with zstd:3 and with one and two workers. A tool that isn't installed is named and left out.
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { benchmark, hasProgram, measureProgram } from './harness.mjs'

const folder = resolve(process.argv.slice(2).find(word => !word.startsWith('--')) ?? '.')
const rounds = Number(process.argv[process.argv.indexOf('--rounds') + 1]) || 1
const disks = ['v1', 'v2', 'v3'].map(name => join(folder, `${name}.raw`))
if (!disks.every(disk => existsSync(disk))) {
  console.error(`expected v1.raw, v2.raw and v3.raw in ${folder}`)
  process.exit(2)
}
const [v1, v2, v3] = disks
const scratch = mkdtempSync(join(tmpdir(), 'granary-peers-'))
const GRANARY = fileURLToPath(new URL('../apps/cli/bin/granary.js', import.meta.url))
const keyFile = join(scratch, 'key')
writeFileSync(keyFile, randomBytes(32), { mode: 0o600 })
process.env.RESTIC_PASSWORD = 'bench'
process.env.BORG_PASSPHRASE = 'bench'
process.env.BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK = 'yes'
process.env.BORG_BASE_DIR = join(scratch, 'borg-home')
process.env.GRANARY_KEY_FILE = keyFile

const granary = workers => ({
  label: `granary, ${workers} ${workers === 1 ? 'worker' : 'workers'}, zstd:3`,
  needs: 'node',
  init: repo => ['node', [GRANARY, 'init', '--repo', repo]],
  backup: (repo, disk) => [
    'node',
    [GRANARY, 'backup', disk, '--repo', repo, '--name', 'vm', '--workers', String(workers)],
  ],
  restore: (repo, target) => ['node', [GRANARY, 'restore', 'latest', join(target, 'out.raw'), '--repo', repo]],
})
const TOOLS = [
  {
    label: 'restic, zstd (auto)',
    needs: 'restic',
    init: repo => ['restic', ['-q', '-r', repo, 'init', '--repository-version', '2']],
    backup: (repo, disk) => ['restic', ['-q', '-r', repo, '--cache-dir', `${repo}.cache`, 'backup', '--force', disk]],
    restore: (repo, target) => [
      'restic',
      ['-q', '-r', repo, '--cache-dir', `${repo}.cache`, 'restore', 'latest', '--target', target],
    ],
  },
  {
    label: 'borg, zstd,3',
    needs: 'borg',
    init: repo => ['borg', ['init', '-e', 'repokey-blake2', repo]],
    backup: (repo, disk, step) => [
      'borg',
      ['create', '-C', 'zstd,3', '--files-cache', 'disabled', `${repo}::${step}`, disk],
    ],
    restore: (repo, target, step) => [
      'sh',
      ['-c', 'cd "$1" && exec borg extract --sparse "$2::$3"', 'sh', target, repo, step],
    ],
  },
  granary(1),
  granary(2),
]

const bytesOf = path => {
  const stats = statSync(path)
  return stats.isDirectory() ? readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0) : stats.size
}
const digest = async path => {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}
const outputOf = folder => {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) return join(entry.parentPath ?? entry.path, entry.name)
  }
  throw new Error(`nothing was restored to ${folder}`)
}

const present = []
for (const tool of TOOLS) {
  if (await hasProgram(tool.needs)) present.push(tool)
  else console.error(`${tool.needs} is not installed: left out`)
}

try {
  const wanted = await digest(v3)
  for (let round = 0; round < rounds; round++) {
    const repos = new Map(present.map((tool, i) => [tool, join(scratch, `repo-${round}-${i}`)]))
    for (const tool of present) await measureProgram(...tool.init(repos.get(tool)))
    let before = new Map(present.map(tool => [tool, bytesOf(repos.get(tool))]))
    for (const [step, disk] of [
      ['first full', v1],
      ['unchanged', v1],
      ['2 % changed', v2],
      ['a sibling', v3],
    ]) {
      const bench = benchmark({ name: step })
      for (const tool of present) {
        bench.add(tool.label, async () => {
          const measured = await measureProgram(
            ...tool.backup(repos.get(tool), disk, step.replaceAll(/[^a-z0-9]/g, '')),
          )
          const bytes = bytesOf(repos.get(tool))
          const result = { storedMB: ((bytes - before.get(tool)) / 1e6).toFixed(1) }
          before.set(tool, bytes)
          return { ...measured, result }
        })
      }
      await bench.run({ rounds: 1, reference: present[0].label, columns: ['storedMB'] })
    }
    const bench = benchmark({ name: 'restore' })
    for (const tool of present) {
      bench.add(tool.label, async () => {
        const target = mkdtempSync(join(scratch, 'out-'))
        const measured = await measureProgram(...tool.restore(repos.get(tool), target, 'asibling'))
        const isEqual = (await digest(outputOf(target))) === wanted
        rmSync(target, { recursive: true })
        if (!isEqual) throw new Error(`${tool.label} restored something else`)
        return measured
      })
    }
    await bench.run({ rounds: 1, reference: present[0].label })
    for (const repo of repos.values()) rmSync(repo, { recursive: true })
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
