import t from 'tap'
import { bytesOfName, joinPath, splitPath } from '../src/index.ts'
import { crc32c } from '../src/format/crc32c.ts'
import { decompressLzo } from '../src/format/lzo.ts'
import { nameOfBytes, nameOfUnits, nameOfUtf16 } from '../src/format/names.ts'

t.test('names of bytes are lossless, and show what is no UTF-8 as question marks', async t => {
  const cp1251 = Buffer.from('6370313235312df4e0e9eb2e747874', 'hex')
  const name = nameOfBytes(cp1251)
  t.equal(name.text, 'cp1251-????.txt')
  t.equal(Buffer.compare(bytesOfName(name), cp1251), 0)
  t.strictSame(nameOfBytes(Buffer.from('имя 😀\u0001\n')), { text: 'имя 😀\u0001\n' })
  t.equal(nameOfBytes(Buffer.from('efbbbf61', 'hex')).text, '\ufeffa', 'a byte order mark is a part of the name')
  t.equal(nameOfBytes(Buffer.from('fffe80d0b8', 'hex')).text, '???и')
})

t.test('names of UTF-16 are lossless with unpaired surrogates too', async t => {
  t.strictSame(nameOfUtf16(Buffer.from('имя 😀', 'utf16le')), { text: 'имя 😀' })
  const name = nameOfUnits('a\ud800b')
  t.equal(name.text, 'a?b')
  t.equal(Buffer.from(bytesOfName(name)).toString('hex'), '61eda08062')
})

t.test('paths are joined and cut', async t => {
  const bad = nameOfBytes(Uint8Array.of(0xff))
  const path = joinPath(joinPath({ text: '' }, { text: 'é' }), bad)
  t.equal(path.text, '/é/?')
  t.strictSame(
    splitPath(bytesOfName(path)).map(({ text }) => text),
    ['é', '?'],
  )
  t.strictSame(splitPath('//a/./b/'), [{ text: 'a' }, { text: 'b' }])
})

// RFC 3720, appendix B.4.
t.test('CRC-32C matches the published vectors', async t => {
  t.equal(crc32c(new Uint8Array(32)), 0x8a9136aa)
  t.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43)
  t.equal(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e)
})

t.test('LZO refuses streams that lead outside', async t => {
  for (const hex of ['', '00', '40', '1200', 'ff0000', '12412040ff110000'])
    t.throws(() => decompressLzo(Buffer.from(hex, 'hex'), new Uint8Array(64), 'test'), { code: 'GRANARY_CORRUPT' }, hex)
})
