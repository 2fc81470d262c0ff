/* Reservations over two nested budgets: callers that repeat calls and crash, a journal, a reaper that may come at any
 * moment, and a store that once forgets everything and is rebuilt from the ledger.
 *
 * MUT names a mistake; each must be found (model_test.go runs them all). 0 is the design.
 */
#ifndef MUT
#define MUT 0
#endif

/* With three exchanges and no loss of memory, or with two and one loss: both together are too many states. */
#ifdef LOSS
#define N 2
#else
#define N 3
#endif


#define LIMA 4 /* organization */
#define LIMB 3 /* key */

#define NONE 0
#define OPEN 1
#define DONE 2
#define VOID 3
#define GONE 4 /* expired, charged as reserved */

#define INUSE 0
#define UNKNOWN 1
#define RESTORING 2

/* the store */
byte usedA, usedB, resvA, resvB;
byte st[N];
byte held[N]; /* amount on record */
byte mode = INUSE;
bool forgot;

/* the ledger: what each exchange is charged, once it is known how it ended */
bool rec[N];
byte led[N];

/* the world */
byte want[N];
bool admitted[N]; /* its caller, or the caller's journal, has it open */
bool over[N];     /* and not any more */
byte billed[N];
bool journal[N];  /* the truth is on disk */
byte fin;

inline charge(i, act) { rec[i] = true; led[i] = act }

inline reserve(i, ok) {
	atomic {
		if
		:: mode != INUSE -> ok = false
		:: mode == INUSE && MUT != 3 && st[i] != NONE -> ok = (st[i] == OPEN)
		:: mode == INUSE && (MUT == 3 || st[i] == NONE) ->
			if
			:: usedA + resvA + want[i] <= LIMA && (MUT == 4 || usedB + resvB + want[i] <= LIMB) ->
				resvA = resvA + want[i]; resvB = resvB + want[i];
				held[i] = want[i]; st[i] = OPEN; admitted[i] = true; ok = true
			:: else -> ok = false
			fi
		fi
	}
}

/* what was admitted before is admitted again, whatever the limits */
inline putback(i) {
	atomic {
		if
		:: st[i] == NONE ->
			resvA = resvA + want[i]; resvB = resvB + want[i]; held[i] = want[i]; st[i] = OPEN
		:: else
		fi
	}
}

inline add(x) { usedA = usedA + x; usedB = usedB + x }

/* late truth replaces what expiry charged; a counter that was rebuilt has that from the ledger */
inline replace(i, act) {
	if
	:: MUT == 1 -> add(act)
	:: else ->
		usedA = (usedA > held[i] -> usedA - held[i] : 0) + act;
		usedB = (usedB > held[i] -> usedB - held[i] : 0) + act
	fi
}

inline settle(i, act) {
	atomic {
		mode != UNKNOWN; /* else it waits */
		if
		:: st[i] == OPEN ->
			resvA = resvA - held[i]; resvB = resvB - held[i];
			add(act); held[i] = act; st[i] = DONE; charge(i, act)
		:: st[i] == GONE -> replace(i, act); held[i] = act; st[i] = DONE; charge(i, act)
		:: st[i] == NONE -> add(act); held[i] = act; st[i] = DONE; charge(i, act)
		:: else
		fi;
		over[i] = true
	}
}

inline void_(i) {
	atomic {
		mode != UNKNOWN;
		if
		:: st[i] == OPEN -> resvA = resvA - held[i]; resvB = resvB - held[i]; held[i] = 0; st[i] = VOID; charge(i, 0)
		:: else /* expired: the charge stays until somebody says the truth; none: nothing is there */
		fi;
		over[i] = true
	}
}

inline expire(i) {
	atomic {
		if
		:: mode != UNKNOWN && st[i] == OPEN ->
			resvA = resvA - held[i]; resvB = resvB - held[i];
			if
			:: MUT == 2 -> charge(i, 0); held[i] = 0
			:: else -> add(held[i]); charge(i, held[i])
			fi;
			st[i] = GONE
		:: else
		fi
	}
}

proctype Exchange(byte i) {
	bool ok;
	byte act;
	reserve(i, ok);
	if
	:: reserve(i, ok) /* the answer was lost */
	:: skip
	fi;
	if
	:: !ok -> goto end /* an answer that was lost may have admitted it: it expires */
	:: else
	fi;
	if
	:: goto end /* crash before anything was sent, or an end that nobody tells: it expires */
	:: void_(i);
		if
		:: void_(i)
		:: skip
		fi;
		goto end
	:: skip
	fi;
	if
	:: act = 0
	:: act = 1
	:: act = want[i]
	fi;
	billed[i] = act;
	if
	:: goto end /* crash before the journal has it: it expires */
	:: skip
	fi;
	journal[i] = true;
	settle(i, act); /* or by the replay after a crash: the same call */
	if
	:: settle(i, act)
	:: skip
	fi;
end:
	fin++
}

proctype Reaper() {
	byte i;
	do
	:: fin < N -> select(i : 0 .. N-1); expire(i)
	:: fin == N && mode == INUSE -> break
	od;
	atomic {
		mode == INUSE; /* it may have forgotten since */
		for (i : 0 .. N-1) { expire(i) }
		byte a = 0;
		for (i : 0 .. N-1) { a = a + (rec[i] -> led[i] : 0) }
		assert(resvA == 0 && resvB == 0);
		assert(forgot || usedA == a && usedB == a);
		assert(usedA >= a && usedB >= a); /* after it forgot, an end that is told again counts again, never less */
		for (i : 0 .. N-1) {
			assert(led[i] >= billed[i]);
			assert(!journal[i] || led[i] == billed[i])
		}
	}
}

/* the store loses everything, once; every epoch after it is another one */
proctype Fault() {
	byte i;
	atomic {
		usedA = 0; usedB = 0; resvA = 0; resvB = 0;
		for (i : 0 .. N-1) { st[i] = NONE; held[i] = 0 }
		forgot = true;
		mode = (MUT == 7 -> INUSE : UNKNOWN)
	}
	if
	:: MUT == 7 -> goto done /* a missing key is an empty budget */
	:: else
	fi;
	atomic {
		for (i : 0 .. N-1) {
			if
			:: rec[i] && MUT != 5 -> add(led[i])
			:: else
			fi
		}
		mode = RESTORING
	}
	if
	:: MUT == 6 -> skip /* opened at once */
	:: else ->
		for (i : 0 .. N-1) {
			/* each replica puts back what it has open; a dead one's journal does when it is back */
			atomic {
				if
				:: admitted[i] && !over[i] && !rec[i] -> putback(i)
				:: else
				fi
			}
		}
	fi;
	mode = INUSE;
	if
	:: MUT == 6 -> for (i : 0 .. N-1) { atomic { if :: admitted[i] && !over[i] && !rec[i] -> putback(i) :: else fi } }
	:: else
	fi;
done:
	skip
}

/* looks at any moment: what is charged, and what is admitted and may still be billed, is within the limit */
active proctype Looker() {
	byte i;
	atomic {
		byte sum = 0;
		for (i : 0 .. N-1) { sum = sum + (rec[i] -> led[i] : (admitted[i] && !over[i] -> want[i] : 0)) }
		assert(sum <= LIMB && sum <= LIMA);
		assert(forgot || usedA + resvA <= LIMA && usedB + resvB <= LIMB)
	}
}

init {
	atomic {
		want[0] = 2;
#ifdef LOSS
		want[1] = 2;
		run Fault();
#else
		want[1] = 1; want[2] = 1;
		run Exchange(2);
#endif
		run Exchange(0); run Exchange(1);
		run Reaper()
	}
}
