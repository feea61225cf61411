package weir

// The few fields that are read, with their numbers in TiCDC's heartbeatpb. Everything else passes through unread.
var (
	fChangefeed = field{number: 1, name: "changefeedID"}
	fHigh       = field{number: 1, name: "high"}
	fLow        = field{number: 2, name: "low"}

	// BlockStatusRequest
	fBlockStatuses = field{number: 2, name: "blockStatuses"}
	fRequestMode   = field{number: 3, name: "mode"}
	fStatusID      = field{number: 1, name: "ID"}
	fStatusState   = field{number: 2, name: "state"}
	fStatusIDs     = field{number: 100, name: "dispatcherIDs"}
	fIsBlocked     = field{number: 1, name: "IsBlocked"}
	fBlockTs       = field{number: 2, name: "BlockTs"}
	fStateSync     = field{number: 7, name: "IsSyncPoint"}
	fStage         = field{number: 8, name: "stage", values: []string{"NONE", "WAITING", "WRITING", "DONE"}}

	// HeartBeatRequest
	fStatuses       = field{number: 4, name: "statuses"}
	fComplete       = field{number: 5, name: "compeleteStatus"}
	fHeartBeatErr   = field{number: 6, name: "err"}
	fSpanStatusID   = field{number: 1, name: "ID"}
	fComponentState = field{number: 2, name: "componentStatus", original: "component_status",
		values: []string{"Working", "Stopped", "Removed", "Initializing", "Preparing", "MergeReady", "WaitingMerge"}}

	// MaintainerBootstrapResponse
	fSpans             = field{number: 2, name: "spans"}
	fSpanID            = field{number: 1, name: "ID"}
	fBlockState        = field{number: 6, name: "blockState", original: "block_state"}
	fSpanMode          = field{number: 7, name: "mode"}
	fRegistrationEpoch = field{number: 7, name: "maintainerEpoch", original: "maintainer_epoch"}

	// MaintainerPostBootstrapRequest
	fSchemas      = field{number: 3, name: "schemas"}
	fRedoSchemas  = field{number: 4, name: "redoSchemas", original: "redo_schemas"}
	fTables       = field{number: 3, name: "Tables"}
	fOpeningEpoch = field{number: 5, name: "maintainerEpoch", original: "maintainer_epoch"}

	// HeartBeatResponse
	fDispatcherStatuses = field{number: 2, name: "dispatcherStatuses"}
	fResponseMode       = field{number: 3, name: "mode"}
	fResponseEpoch      = field{number: 4, name: "maintainerEpoch", original: "maintainer_epoch"}
	fInfluenced         = field{number: 1, name: "influencedDispatchers"}
	fAction             = field{number: 2, name: "action"}
	fAck                = field{number: 3, name: "ack"}
	fIgnored            = field{number: 4, name: "ignoredBlockStatus"}
	fInfluenceType      = field{number: 1, name: "InfluenceType", values: []string{"All", "DB", "Normal"}}
	fInfluencedIDs      = field{number: 2, name: "DispatcherIDs"}
	fActionCommitTs     = field{number: 2, name: "CommitTs"}
	fActionSync         = field{number: 3, name: "IsSyncPoint"}

	// ScheduleDispatcherRequest
	fConfig        = field{number: 2, name: "config"}
	fScheduleEpoch = field{number: 5, name: "maintainerEpoch", original: "maintainer_epoch"}
	fConfigID      = field{number: 3, name: "dispatcherID"}

	// RegistrationResult
	fResultEpoch = field{name: "maintainerEpoch"}
)

const (
	stageWriting     = 2
	stageDone        = 3
	stateStopped     = 1
	stateRemoved     = 2
	influenceNormal  = 2
	componentWorking = 0
)

// 128 bits, as TiCDC writes the ids of changefeeds and dispatchers.
type id struct{ high, low uint64 }

func idOf(d *document) (id, bool) {
	if d == nil {
		return id{}, false
	}
	return id{d.number(fHigh), d.number(fLow)}, true
}
