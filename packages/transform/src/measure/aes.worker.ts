/** What `measureAes` starts: measures for as many seconds as its argument says and sends the figures to its parent. @module */
import { measureAesHere } from './aes.ts'

process.send?.(measureAesHere(Number(process.argv[2])))
