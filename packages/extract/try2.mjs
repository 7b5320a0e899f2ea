import { openSync, writeSync } from 'node:fs'
import { planIso } from './dist/src/index.js'
const [,, out, what=''] = process.argv
const t = 1600000000123456789n
const stat = (type, sizeBytes=0, more={}) => ({ type, ino: 1, sizeBytes, nlink: 1, mode: 0o644, uid: 1000, gid: 1000, mtime: t, ctime: t, atime: t, ...more })
const file = (path, text, more) => ({ path: path.split('/').map(text => ({ text })), stat: stat('file', Buffer.byteLength(text)), open: async () => ({ sizeBytes: Buffer.byteLength(text), async *read() { yield Buffer.from(text) } }), ...more })
const entries = [file('a.txt', 'hello')]
if (what.includes('d')) entries.push(file('dir/b.txt', 'world'))
if (what.includes('e')) entries.push(file('empty', ''))
if (what.includes('s')) entries.push({ path: [{ text: 'sym' }], stat: stat('symlink', 5), target: { text: 'a.txt' } })
if (what.includes('h')) entries.push(file('h1', 'xx', {linkKey: '1'}), file('h2', 'xx', {linkKey: '1'}))
if (what.includes('l')) entries.push(file('l'.repeat(200), 'xx'), file('ж'.repeat(120), 'xx'), file('ж'.repeat(140), 'yy'), file('日'.repeat(80)+'.jpeg', 'xx'))
const image = await planIso(entries)
const fd = openSync(out, 'w')
for await (const piece of image.write()) writeSync(fd, piece)
