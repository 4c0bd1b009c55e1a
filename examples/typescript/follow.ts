// Prints every message that came to its end: delivered and read, failed, or dropped.
//
//   npm install @grpc/grpc-js@1 @grpc/proto-loader@0.8 typescript@5 @types/node@20
//   npx tsc --module nodenext --moduleResolution nodenext --target es2022 --skipLibCheck follow.ts
//   PROTOS=../../protos node follow.js PLACE
//
// PLACE is a file that keeps how far it came. No code is generated: the protos are read at start.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { credentials, loadPackageDefinition, Metadata, status } from "@grpc/grpc-js";
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

interface Change {
  tenant_id: string;
  message_key: Buffer;
  version: string;
  part: number;
  message_ref: string;
  new_image: { state: string; failure_code: string };
}
interface Answer {
  changes: Change[];
  cursor: string;
  is_ending: boolean;
}

// A sign of life comes every 15 seconds.
const SILENCE_MAX_MS = 50_000;
const PAUSES_MS = [50, 200, 500, 1000, 2000];
const HOPELESS = [
  status.INVALID_ARGUMENT,
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
  status.OUT_OF_RANGE, // the stream no longer has what follows: read anew, and begin without a cursor
];

const place = process.argv[2] ?? "changes.cursor";
const definition = loadSync("bluetick/v1/message_service.proto", {
  includeDirs: [process.env.PROTOS ?? "../../protos"],
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
});
const { MessageService } = (loadPackageDefinition(definition) as any).bluetick.v1;
const client = new MessageService(process.env.BLUETICK_GATEWAY, credentials.createInsecure());
const metadata = new Metadata();
metadata.set("authorization", `Bearer ${process.env.BLUETICK_API_KEY}`);

const given = new Set<string>();

async function watch(): Promise<void> {
  const cursor = existsSync(place) ? readFileSync(place, "utf8") : "";
  const stream: ClientReadableStream<Answer> = client.WatchChanges(
    { cursor, filter: { is_final_only: true } },
    metadata,
  );
  let alarm = endOfSilence(stream);
  try {
    for await (const answer of stream as AsyncIterable<Answer>) {
      clearTimeout(alarm);
      for (const change of answer.changes) {
        const name = [change.tenant_id, change.message_key.toString("hex"), change.version, change.part].join();
        if (given.has(name)) continue; // at least once: after an end some may come again
        given.add(name);
        if (given.size > 100_000) given.delete(given.values().next().value as string);
        console.log(change.message_ref, change.new_image.state, change.new_image.failure_code);
      }
      writeFileSync(`${place}.next`, answer.cursor);
      renameSync(`${place}.next`, place);
      alarm = endOfSilence(stream);
    }
  } finally {
    clearTimeout(alarm);
    stream.cancel();
  }
}

function endOfSilence(stream: ClientReadableStream<Answer>): NodeJS.Timeout {
  return setTimeout(() => stream.cancel(), SILENCE_MAX_MS);
}

for (let failures = 0; ; ) {
  const start = Date.now();
  try {
    await watch(); // it ended by age: go on behind it
  } catch (error) {
    const failure = error as ServiceError;
    if (HOPELESS.includes(failure.code)) throw failure;
    failures = Date.now() - start > 5_000 ? 0 : failures + 1;
    await pause(PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)]! * (0.5 + Math.random() / 2));
  }
}
