// Prints every message that came to its end: delivered and read, failed, or dropped.
//
//	buf generate ../../protos        # with buf.gen.yaml beside this file
//	go mod init example.com/follow && go mod tidy
//	go run . PLACE
//
// PLACE is a file that keeps how far it came.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	bluetick "example.com/follow/gen/bluetick/v1"
)

// A sign of life comes every 15 seconds.
const silenceMax = 50 * time.Second

var pauses = []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second}

func main() {
	connection, err := grpc.NewClient(os.Getenv("BLUETICK_GATEWAY"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	client := bluetick.NewMessageServiceClient(connection)
	ctx := metadata.AppendToOutgoingContext(context.Background(),
		"authorization", "Bearer "+os.Getenv("BLUETICK_API_KEY"))
	failures := 0
	for {
		start := time.Now()
		err := watch(ctx, client, os.Args[1])
		if err == nil {
			continue // it ended by age: go on behind it
		}
		switch status.Code(err) {
		case codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied:
			log.Fatal(err)
		case codes.OutOfRange:
			// The stream no longer has what follows: read anew, and begin without a cursor.
			log.Fatal(err)
		}
		if failures++; time.Since(start) > 5*time.Second {
			failures = 0
		}
		pause := pauses[min(failures, len(pauses)-1)]
		time.Sleep(pause/2 + time.Duration(rand.Int63n(int64(pause/2))))
	}
}

func watch(ctx context.Context, client bluetick.MessageServiceClient, place string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alarm := time.AfterFunc(silenceMax, cancel)
	defer alarm.Stop()
	cursor, err := os.ReadFile(place)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	stream, err := client.WatchChanges(ctx, &bluetick.WatchChangesRequest{
		Cursor: string(cursor),
		Filter: &bluetick.ChangeFilter{IsFinalOnly: true},
	})
	if err != nil {
		return err
	}
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		alarm.Reset(silenceMax)
		// At least once: (tenant_id, message_key, version, part) is unique; leave out what you had.
		for _, change := range answer.GetChanges() {
			image := change.GetNewImage()
			fmt.Println(change.GetMessageRef(), image.GetState(), image.GetFailureCode())
		}
		if err := os.WriteFile(place+".next", []byte(answer.GetCursor()), 0o600); err != nil {
			return err
		}
		if err := os.Rename(place+".next", place); err != nil {
			return err
		}
	}
}
