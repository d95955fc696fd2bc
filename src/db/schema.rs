//! The tables as diesel's query builder knows them; a test holds them equal to `migrations/`.

#![expect(missing_docs, reason = "each column is explained at its row struct and in the migration")]

diesel::table! {
    calls (id) {
        id -> BigInt,
        uid -> Text,
        node -> Text,
        status -> Text,
        direction -> Nullable<Text>,
        trunk -> Nullable<Text>,
        did -> Nullable<Text>,
        caller_number -> Nullable<Text>,
        caller_name -> Nullable<Text>,
        dialed_number -> Nullable<Text>,
        callee_number -> Nullable<Text>,
        callee_name -> Nullable<Text>,
        answered_kind -> Nullable<Text>,
        started_at -> Text,
        answered_at -> Nullable<Text>,
        ended_at -> Nullable<Text>,
        wait_ms -> Nullable<BigInt>,
        ring_ms -> Nullable<BigInt>,
        talk_ms -> Nullable<BigInt>,
        hold_ms -> Nullable<BigInt>,
        ended_by -> Nullable<Text>,
        cause -> Nullable<Integer>,
        sip_status -> Nullable<Integer>,
        incomplete -> Bool,
        created_at -> Text,
        updated_at -> Text,
        caller_e164 -> Nullable<Text>,
        dialed_e164 -> Nullable<Text>,
        callee_e164 -> Nullable<Text>,
        protocol_id -> Nullable<Text>,
        legs -> Integer,
        reconciled -> Bool,
    }
}

diesel::table! {
    legs (id) {
        id -> BigInt,
        call_uid -> Text,
        node -> Text,
        channel_id -> Text,
        channel_created_at -> Text,
        stay -> Integer,
        channel_name -> Text,
        role -> Text,
        endpoint -> Text,
        number -> Nullable<Text>,
        name -> Nullable<Text>,
        number_e164 -> Nullable<Text>,
        dialed_by -> Nullable<Text>,
        started_at -> Text,
        ringing_at -> Nullable<Text>,
        answered_at -> Nullable<Text>,
        ended_at -> Nullable<Text>,
        hold_ms -> BigInt,
        cause -> Nullable<Integer>,
        sip_status -> Nullable<Integer>,
        protocol_id -> Nullable<Text>,
        last_event_seq -> Nullable<BigInt>,
        updated_at -> Text,
    }
}

diesel::table! {
    events (seq) {
        seq -> BigInt,
        node -> Text,
        at -> Text,
        #[sql_name = "type"]
        kind -> Text,
        channel_id -> Nullable<Text>,
        bridge_id -> Nullable<Text>,
        prev_seq -> Nullable<BigInt>,
        body -> Text,
    }
}

diesel::table! {
    changes (seq) {
        seq -> BigInt,
        node -> Text,
        at -> Text,
        kind -> Text,
        call_uid -> Nullable<Text>,
        body -> Text,
    }
}

diesel::table! {
    gaps (id) {
        id -> BigInt,
        node -> Text,
        stream -> Text,
        position -> BigInt,
        since -> Text,
        until -> Text,
        reason -> Text,
        calls_touched -> Integer,
        sample -> Nullable<Text>,
    }
}

diesel::table! {
    endpoints (node, tech, resource) {
        node -> Text,
        tech -> Text,
        resource -> Text,
        state -> Text,
        updated_at -> Text,
    }
}

diesel::table! {
    recordings (id) {
        id -> BigInt,
        node -> Text,
        name -> Text,
        target -> Text,
        format -> Text,
        state -> Text,
        duration_s -> Nullable<BigInt>,
        call_uid -> Nullable<Text>,
        started_at -> Text,
        ended_at -> Nullable<Text>,
    }
}

diesel::table! {
    commands (seq) {
        seq -> BigInt,
        node -> Text,
        id -> Text,
        at -> Text,
        who -> Text,
        method -> Text,
        path -> Text,
        body -> Nullable<Text>,
        about -> Nullable<Text>,
        outcome -> Nullable<Text>,
        status -> Nullable<Integer>,
        answered_at -> Nullable<Text>,
        ms -> Nullable<Double>,
    }
}

diesel::table! {
    positions (node, stream) {
        node -> Text,
        stream -> Text,
        position -> BigInt,
        oldest_open -> BigInt,
        event_seq -> BigInt,
        updated_at -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(calls, legs, events);
