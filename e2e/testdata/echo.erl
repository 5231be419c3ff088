%% Erlang's gen_sctp at both ends: one-to-many sockets, streams, identifiers of payload protocols, notifications.
-module(echo).
-export([main/0]).
-include_lib("kernel/include/inet_sctp.hrl").
main() ->
    {ok, L} = gen_sctp:open([{ip, {127,0,0,1}}, {active, false}, {reuseaddr, true}, {recbuf, 65536},
        {sctp_events, #sctp_event_subscribe{data_io_event = true, association_event = true}}]),
    {ok, Port} = inet:port(L),
    ok = gen_sctp:listen(L, true),
    Self = self(),
    spawn_link(fun() -> client(Port, Self) end),
    {ok, {_, _, [], #sctp_assoc_change{state = comm_up, assoc_id = A}}} = next(L),
    io:format("up~n"),
    {ok, {IP, CP, [#sctp_sndrcvinfo{stream = 3, ppid = 77}], Data}} = next(L),
    io:format("got ~w bytes from ~w~n", [byte_size(Data), IP]),
    ok = gen_sctp:send(L, A, 1, Data),
    loop(L, A, 0),
    {ok, {_, CP, [], #sctp_assoc_change{state = Q}}} = next(L),
    io:format("server ~p~n", [Q]),
    receive done -> ok end,
    gen_sctp:close(L),
    halt(0).
loop(L, A, N) ->
    case next(L) of
        {ok, {_, _, [#sctp_sndrcvinfo{}], <<"end">>}} -> io:format("~w messages~n", [N]);
        {ok, {_, _, [#sctp_sndrcvinfo{}], <<N:32, _/binary>>}} -> loop(L, A, N + 1)
    end.
%% The next message or notification, but of addresses and of a peer that ends.
next(S) ->
    case gen_sctp:recv(S, 10000) of
        {ok, {_, _, _, #sctp_paddr_change{}}} -> next(S);
        {ok, {_, _, _, #sctp_shutdown_event{}}} -> next(S);
        Other -> Other
    end.
client(Port, Main) ->
    {ok, S} = gen_sctp:open([{active, false}, {mode, binary}]),
    {ok, A} = gen_sctp:connect(S, {127,0,0,1}, Port, [{sctp_initmsg, #sctp_initmsg{num_ostreams = 10}}]),
    Data = binary:copy(<<"0123456789">>, 1000),
    ok = gen_sctp:send(S, #sctp_sndrcvinfo{stream = 3, ppid = 77, assoc_id = A#sctp_assoc_change.assoc_id}, Data),
    {ok, {_, _, _, Back}} = next(S),
    io:format("the same ~w~n", [Back =:= Data]),
    [ok = gen_sctp:send(S, A, N rem 10, <<N:32, 0:6400>>) || N <- lists:seq(0, 499)],
    ok = gen_sctp:send(S, A, 0, <<"end">>),
    ok = gen_sctp:eof(S, A),
    {ok, {_, _, _, #sctp_assoc_change{state = Q}}} = next(S),
    io:format("client ~p~n", [Q]),
    gen_sctp:close(S),
    Main ! done.
