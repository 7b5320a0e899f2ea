// Fails when a package imports what its layer forbids or what its package.json does not declare.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Which @granary packages each package may import. The order is the architecture: nothing imports downwards. */
const MAY_IMPORT = {
  'packages/core': [],
  'packages/chunker': ['core'],
  'packages/transform': ['core'],
  'packages/nbd': ['core'],
  'packages/qcow2': ['core'],
  'packages/guestfs': ['core'],
  'packages/dedup-store': ['core', 'chunker', 'transform'],
  'packages/extract': ['core', 'guestfs'],
  'packages/catalog': ['core', 'dedup-store', 'guestfs'],
  'packages/ovirt-adapter': ['core', 'nbd', 'qcow2', 'dedup-store', 'transform', 'guestfs'],
  'packages/ovirt-simulator': ['core', 'nbd', 'qcow2'],
  'packages/testing': ['core', 'chunker', 'transform', 'dedup-store', 'nbd', 'qcow2', 'guestfs'],
  'apps/cli': [
    'core',
    'chunker',
    'transform',
    'dedup-store',
    'nbd',
    'qcow2',
    'guestfs',
    'extract',
    'catalog',
    'ovirt-adapter',
    'ovirt-simulator',
  ],
}

const IMPORT = /(?<![.\w'])(?:from\s+|import\s+|import\s*\(\s*)'([^']+)'/g
const problems = []
for (const [root, allowed] of Object.entries(MAY_IMPORT)) {
  if (!existsSync(join(root, 'package.json'))) continue
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const { name, private: isPrivate } = manifest
  const dependencies = { ...manifest.dependencies, ...manifest.optionalDependencies }
  for (const file of readdirSync(join(root, 'src'), { recursive: true })
    .map(String)
    .filter(file => file.endsWith('.ts'))) {
    for (const match of readFileSync(join(root, 'src', file), 'utf8').matchAll(IMPORT)) {
      const target = String(match[1])
      if (target.startsWith('node:') || target.startsWith('./') || target.startsWith('../')) continue
      const dependency = target.split('/', target.startsWith('@') ? 2 : 1).join('/')
      const isDevelopment = isPrivate && root === 'packages/testing' && dependency === 'tap'
      if (!(dependency in dependencies) && !isDevelopment)
        problems.push(`${root}/src/${file}: ${dependency} is not in dependencies`)
      const sibling = /^@granary\/(.+)$/.exec(dependency)?.[1]
      if (sibling && !allowed.includes(sibling)) problems.push(`${root}/src/${file}: ${name} may not import ${sibling}`)
    }
  }
}
for (const problem of problems) console.error(problem)
process.exitCode = problems.length === 0 ? 0 : 1
