// Runs the benches that need no material of their own, or the one that is named: npm run bench [-- NAME [ARGUMENTS]].
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ALONE = ['copy', 'transform']
const [name, ...rest] = process.argv.slice(2)
for (const bench of name === undefined ? ALONE : [name]) {
  const { status } = spawnSync(process.execPath, [fileURLToPath(new URL(`./${bench}.mjs`, import.meta.url)), ...rest], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exitCode = 1
}
