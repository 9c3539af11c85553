-- The extensions stay: others may use them, and a role without superuser may not drop them all.

DROP TABLE public.user_repository_interactions;
DROP TABLE public.contribution_outcomes;
DROP TABLE public.notifications;
DROP TABLE public.user_preferences;
DROP TABLE public.opportunities;
DROP TABLE public.repositories;
DROP TABLE public.users;

DROP FUNCTION public.touch_updated_at();

DROP TYPE public.interaction_kind;
DROP TYPE public.outcome_status;
DROP TYPE public.notification_kind;
DROP TYPE public.opportunity_status;
DROP TYPE public.contribution_kind;
DROP TYPE public.difficulty_level;
